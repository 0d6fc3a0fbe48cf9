package nat

import (
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/nlmsg"
)

// A Translation is what a table ip mape translates: LAN hosts to ports of the shared address, and forwarded ports of it
// to LAN hosts. Ports are as connection tracking has them.
type Translation struct {
	Address  netip.Prefix `json:"address"` // the shared one; a prefix that is not shared
	First    uint16       `json:"first"`   // of the pool
	Last     uint16       `json:"last"`
	Forwards []Forwarded  `json:"forwards,omitempty"`
}

// Forwarded are ports that go to a host one by one.
type Forwarded struct {
	Protocol uint8          `json:"protocol"` // IANA's number
	First    uint16         `json:"first"`
	Last     uint16         `json:"last"`
	To       netip.AddrPort `json:"to"` // of the first port; port 0 is the same port
}

// Translates says whether a connection got its source from it.
func (t Translation) Translates(c *kernel.Connection) bool {
	port := c.ReplyDst.Port()
	return c.Snat && t.Address.Contains(c.ReplyDst.Addr()) && t.First <= port && port <= t.Last
}

// Forwarded says whether a connection got its destination from it.
func (t Translation) Forwarded(c *kernel.Connection) bool {
	if !c.Dnat || !t.Address.Contains(c.Dst.Addr()) {
		return false
	}
	for _, f := range t.Forwards {
		to := c.Dst.Port()
		if f.To.Port() != 0 {
			to += f.To.Port() - f.First
		}
		if f.has(c.Protocol, c.Dst.Port()) && c.ReplySrc == netip.AddrPortFrom(f.To.Addr(), to) {
			return true
		}
	}
	return false
}

func (f Forwarded) has(protocol uint8, port uint16) bool {
	return f.Protocol == protocol && f.First <= port && port <= f.Last
}

// Translations lists what the table of a configuration translates, as translations reads it from that.
func (c Config) Translations(p Pool) []Translation {
	if p.First == 0 {
		return nil
	}
	var forwards []Forwarded
	for _, f := range c.Forwards {
		for _, by := range protocols(f) {
			to := f.To
			for _, r := range f.Ports {
				forwards = append(forwards, Forwarded{by.number, r.First, r.Last, to})
				if to.Port() != 0 {
					to = netip.AddrPortFrom(to.Addr(), to.Port()+r.Last-r.First+1)
				}
			}
		}
	}
	return []Translation{{c.Address.Masked(), p.First, p.Last, joined(forwards)}}
}

// Translations reads from a table what it translates, one Translation for each shared address: a table of ours has one,
// or none where no port may be drawn. Rules that are not like ours tell nothing, so a table that somebody damaged tells
// less, and never anything that is not in it.
func Translations(t nft.Table) []Translation {
	var all []Translation
	var forwards []Forwarded
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			n := runNAT(r)
			switch {
			case !n.found || !n.address.Is4():
			case n.source && n.first > 0 && n.first <= n.last:
				all = pooled(all, Translation{Address: n.prefix(), First: n.first, Last: n.last})
			case !n.source && n.protocol > 0 && n.from > 0 && n.from <= n.to:
				forwards = append(forwards, Forwarded{n.protocol, n.from, n.to, netip.AddrPortFrom(n.address, n.first)})
			}
		}
	}
	for i := range all {
		all[i].Forwards = joined(forwards)
	}
	return all
}

// pooled adds what one rule draws from to the pool that all rules for its address have together.
func pooled(all []Translation, t Translation) []Translation {
	for i := range all {
		if all[i].Address == t.Address {
			all[i].First, all[i].Last = min(all[i].First, t.First), max(all[i].Last, t.Last)
			return all
		}
	}
	return append(all, t)
}

// joined makes one of those that follow each other.
func joined(all []Forwarded) []Forwarded {
	var short []Forwarded
	for _, f := range all {
		if last := len(short) - 1; last >= 0 {
			g := &short[last]
			follows := f.To.Port() == 0 && g.To.Port() == 0 || f.To.Port() != 0 && g.To.Port() != 0 && f.To.Port()-g.To.Port() == f.First-g.First
			if f.Protocol == g.Protocol && f.To.Addr() == g.To.Addr() && int(f.First) == int(g.Last)+1 && follows {
				g.Last = f.Last
				continue
			}
		}
		short = append(short, f)
	}
	return short
}

// A ruleNAT is what a rule that translates says.
type ruleNAT struct {
	found, source bool
	protocol      uint8  // that it is for; 0 is any
	from, to      uint16 // the destination ports that it is for; 0 is any
	address, high netip.Addr
	first, last   uint16 // the ports that it translates to; 0 is none
}

// prefix is the one that the addresses are the ends of.
func (n ruleNAT) prefix() netip.Prefix {
	for bits := 32; bits >= 0; bits-- {
		if p := netip.PrefixFrom(n.address, bits); p.Contains(n.high) {
			return p.Masked()
		}
	}
	return netip.PrefixFrom(n.address, 32)
}

// runNAT follows what a rule does to its registers as far as that is what rules of ours do.
func runNAT(r nft.Rule) (n ruleNAT) {
	const protocol, dport = "protocol", "dport"
	held, values := map[uint32]string{}, map[uint32][]byte{}
	load := func(register uint32, what string, value []byte) { held[register], values[register] = what, value }
	for _, e := range r {
		switch e := e.(type) {
		case *expr.Immediate:
			load(e.Register, "", e.Data)
		case *expr.Meta:
			load(e.Register, map[bool]string{true: protocol}[e.Key == expr.MetaKeyL4PROTO], nil)
		case *expr.Payload:
			is := e.OperationType == expr.PayloadLoad && e.Base == expr.PayloadBaseTransportHeader && e.Offset == 2 && e.Len == 2
			load(e.DestRegister, map[bool]string{true: dport}[is], nil)
		case *expr.Bitwise:
			load(e.DestRegister, "", nil)
		case *expr.Cmp:
			switch {
			case e.Op != expr.CmpOpEq:
			case held[e.Register] == protocol:
				n.protocol = uint8(nlmsg.Number(e.Data))
			case held[e.Register] == dport:
				n.from, n.to = nlmsg.Number(e.Data), nlmsg.Number(e.Data)
			}
		case *expr.Range:
			if e.Op == expr.CmpOpEq && held[e.Register] == dport {
				n.from, n.to = nlmsg.Number(e.FromData), nlmsg.Number(e.ToData)
			}
		case *expr.NAT:
			n.found = e.Family == unix.NFPROTO_IPV4
			n.source = e.Type == expr.NATTypeSourceNAT
			n.address, _ = netip.AddrFromSlice(values[e.RegAddrMin])
			n.high, n.first = n.address, nlmsg.Number(values[e.RegProtoMin])
			if a, ok := netip.AddrFromSlice(values[e.RegAddrMax]); ok {
				n.high = a
			}
			n.last = max(n.first, nlmsg.Number(values[e.RegProtoMax]))
		}
	}
	return n
}

package nat

import (
	"cmp"
	"net/netip"
	"sort"
	"strings"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nft"
)

// A Translation is what a table ip mape translates: LAN hosts to ports of the shared address, and forwarded ports of it
// to LAN hosts. Ports are as connection tracking has them: numbers of the pool.
type Translation struct {
	Address  netip.Prefix `json:"address"` // the shared address, or a prefix that is not shared
	First    uint16       `json:"first"`   // number of the pool
	Last     uint16       `json:"last"`    // 0 where the address leaves as it is, untranslated
	Forwards []Forwarded  `json:"forwards,omitempty"`
}

// Forwarded are consecutive ports that are forwarded to consecutive ports of a host.
type Forwarded struct {
	Protocol uint8          `json:"protocol"` // IANA's number
	First    uint16         `json:"first"`
	Last     uint16         `json:"last"`
	To       netip.AddrPort `json:"to"` // of the first port; with port 0 each keeps its number
}

// Translates reports whether the source of a connection was translated by it.
func (t Translation) Translates(c *kernel.Connection) bool {
	if t.Last == 0 {
		return !c.SNAT && t.Address.Contains(c.Src.Addr())
	}
	port := c.ReplyDst.Port()
	return c.SNAT && t.Address.Contains(c.ReplyDst.Addr()) && t.First <= port && port <= t.Last
}

// Forwarded reports whether the destination of a connection was translated by it.
func (t Translation) Forwarded(c *kernel.Connection) bool {
	if !c.DNAT || !t.Address.Contains(c.Dst.Addr()) {
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

// Translations lists what the table of a configuration translates: what the function Translations reads from that table.
func (c Config) Translations(p Pool) []Translation {
	if c.Untranslated != nil {
		return plain(c.Untranslated)
	}
	if p.First == 0 {
		return nil
	}
	var forwards []Forwarded
	for _, f := range c.Forwards {
		for _, p := range transports {
			if !p.carries(f) {
				continue
			}
			to := f.To
			for _, r := range f.Ports {
				forwards = append(forwards, Forwarded{p.number, r.First, r.Last, to})
				if to.Port() != 0 {
					to = netip.AddrPortFrom(to.Addr(), to.Port()+r.Last-r.First+1)
				}
			}
		}
	}
	return []Translation{{c.Address.Masked(), p.First, p.Last, joined(forwards)}}
}

// Translations reads from a table what it translates, one Translation for each shared address: a table of ours has one,
// and nothing where no port may be drawn. Rules of another form are skipped: of a damaged table less is read, and never
// anything that is not in it.
func Translations(t nft.Table) []Translation {
	for _, s := range t.Sets {
		if s.Name == sourcesSet {
			var sources []netip.Prefix
			for _, e := range s.Elements {
				first, _ := netip.AddrFromSlice(e.Key)
				last, _ := netip.AddrFromSlice(e.Last)
				sources = append(sources, span(first, last))
			}
			return plain(sources)
		}
	}
	var all []Translation
	var forwards []Forwarded
	for _, c := range t.Chains {
		for _, r := range c.Rules {
			n := readNAT(r)
			switch {
			case n.found && !n.source && n.by != "" && n.protocol > 0:
				forwards = append(forwards, mapped(t, n)...)
			case !n.found || !n.address.Is4():
			case n.source && n.first > 0 && n.first <= n.last:
				all = pooled(all, Translation{Address: span(n.address, n.high), First: n.first, Last: n.last})
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

// plain are sources that leave as they are.
func plain(sources []netip.Prefix) (all []Translation) {
	for _, p := range sources {
		all = append(all, Translation{Address: p})
	}
	return all
}

// pooled adds the ports of one rule to the pool, which all rules for its address make up together.
func pooled(all []Translation, t Translation) []Translation {
	for i := range all {
		if all[i].Address == t.Address {
			all[i].First, all[i].Last = min(all[i].First, t.First), max(all[i].Last, t.Last)
			return all
		}
	}
	return append(all, t)
}

// mapped are the forwards of a rule whose map the table has.
func mapped(t nft.Table, n ruleNAT) (all []Forwarded) {
	for _, s := range t.Sets {
		for _, e := range s.Elements {
			first, last := number(e.Key), number(e.Last)
			if to, ok := e.Endpoint(); ok && s.Name == n.by && n.mapsPort == (to.Port() > 0) {
				all = append(all, Forwarded{n.protocol, first, max(first, last), to})
			}
		}
	}
	return all
}

// joined merges forwards of consecutive ports, and sorts them.
func joined(all []Forwarded) []Forwarded {
	sort.Slice(all, func(i, j int) bool {
		return cmp.Or(cmp.Compare(all[i].Protocol, all[j].Protocol), cmp.Compare(all[i].First, all[j].First)) < 0
	})
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

// A ruleNAT is what a rule that translates does.
type ruleNAT struct {
	found, source bool
	protocol      uint8  // that it matches; 0: any
	from, to      uint16 // destination ports that it matches; 0: any
	address, high netip.Addr
	first, last   uint16 // ports that it translates to; 0: not translated
	by            string // the map from destination ports that has the address
	mapsPort      bool   // and the port
}

// span is the longest prefix that two addresses are in.
func span(first, last netip.Addr) netip.Prefix {
	for bits := 32; bits >= 0; bits-- {
		if p := netip.PrefixFrom(first, bits); p.Contains(last) {
			return p.Masked()
		}
	}
	return netip.PrefixFrom(first, 32)
}

// readNAT follows a rule through the registers, as far as it consists of the expressions that rules of ours have.
func readNAT(r nft.Rule) (n ruleNAT) {
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
				n.protocol = uint8(number(e.Data))
			case held[e.Register] == dport:
				n.from, n.to = number(e.Data), number(e.Data)
			}
		case *expr.Range:
			if e.Op == expr.CmpOpEq && held[e.Register] == dport {
				n.from, n.to = number(e.FromData), number(e.ToData)
			}
		case *expr.Lookup:
			if from := held[e.SourceRegister]; e.IsDestRegSet {
				load(e.DestRegister, map[bool]string{true: "@" + e.SetName}[from == dport], nil)
			}
		case *expr.NAT:
			n.found = e.Family == unix.NFPROTO_IPV4
			n.source = e.Type == expr.NATTypeSourceNAT
			_, n.by, _ = strings.Cut(held[e.RegAddrMin], "@")
			n.mapsPort = e.RegProtoMin > 0
			n.address, _ = netip.AddrFromSlice(values[e.RegAddrMin])
			n.high, n.first = n.address, number(values[e.RegProtoMin])
			if a, ok := netip.AddrFromSlice(values[e.RegAddrMax]); ok {
				n.high = a
			}
			n.last = max(n.first, number(values[e.RegProtoMax]))
		}
	}
	return n
}

// number is a big-endian one, of which no more than the last two bytes matter.
func number(b []byte) (n uint16) {
	for _, x := range b {
		n = n<<8 | uint16(x)
	}
	return n
}

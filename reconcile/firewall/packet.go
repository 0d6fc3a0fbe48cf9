package firewall

import (
	"cmp"
	"net/netip"
	"slices"
	"sort"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

const (
	// natPriority is where our source NAT is. Of several the first that translates a connection wins.
	natPriority = 99
	// conntrackPriority is where connection tracking begins.
	conntrackPriority = -200
	// dnatPriority is where the kernel translates destinations, whatever the priority of the chain that says so.
	dnatPriority = -100
)

// A flow is packets that have to get through the rules of others, for one purpose.
type flow struct {
	tunnel  string
	note    string // in every warning about it
	packets []packet
}

// A packet is what is known in advance of a kind of packet.
type packet struct {
	what    string      // in a warning: "drops ‹what›"
	detail  string      // of which: "tcp 192.168.1.20:80"
	hooks   []string    // on its way
	family  byte        // 4 or 6
	in, out kernel.Link // without a name: none
	anyIn   bool        // comes in somewhere, not through the tunnel
	anyOut  bool        // leaves somewhere, not through the tunnel
	state   uint32      // of its connection; 0: not known
	proto   byte
	src     spans            // nil: some address on the internet
	dst     spans            // likewise
	local   bool             // the destination is this machine
	dnat    bool             // the destination was translated
	dports  schema.PortRange // zero: not known
	icmp    byte             // the type of neighbour discovery; 0: none
	flags   byte             // of TCP; 0: those that are usual
}

// anywhere is an address that is not known.
var anywhere = spansOf(netip.PrefixFrom(netip.IPv4Unspecified(), 0))

// States of a connection, as nf_tables has them.
const (
	invalid     = 1 << 0 // also of what connection tracking has not seen yet
	established = 1 << 1
	isNew       = 1 << 3
	untracked   = 1 << 6
)

const (
	protoIPIP = 4
	// discoveryHops is the hop limit of neighbour discovery (RFC 4861, section 7.1).
	discoveryHops = 255
)

var (
	throughForward = []string{"prerouting", "forward", "postrouting"}
	throughInput   = []string{"prerouting", "input"}
	throughOutput  = []string{"output", "postrouting"}
)

// transports makes a TCP and a UDP packet of each.
func transports(packets ...packet) []packet {
	var all []packet
	for _, p := range packets {
		for _, p.proto = range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
			p.family = 4
			all = append(all, p)
		}
	}
	return all
}

func (p packet) meets(c ruleset.Chain) bool {
	family := map[string]byte{"ip": 4, "ip6": 6}[c.Family]
	return slices.Contains(p.hooks, c.Hook) && (family == 0 || family == p.family) &&
		// Network address translation sees the first packet of a connection only.
		(c.Type != "nat" || p.state == isNew)
}

// at is the packet as a base chain sees it.
func (p packet) at(c ruleset.Chain) packet {
	switch c.Hook {
	case "prerouting":
		p.out, p.anyOut = kernel.Link{}, false
		if c.Priority <= dnatPriority {
			// What comes from the line, and what is forwarded, is for the shared address until it is translated.
			if forwarded := p.dnat && p.state == isNew; forwarded || p.in.Name != "" && p.src == nil {
				p.dst, p.dports, p.local = nil, schema.PortRange{}, p.local && !forwarded
				p.dnat = p.dnat && !forwarded
			}
		}
		if c.Priority <= conntrackPriority {
			p.state = invalid
		}
	case "postrouting":
		if c.Priority >= natPriority && c.Type != "nat" && p.family == 4 {
			p.src = anywhere // translated or not
		}
	}
	return p
}

// Spans are addresses, one of which is a packet's: in order, and apart from each
// other, for a machine may have thousands, and there may be as many rules.
type spans []span

type span struct{ first, last netip.Addr }

func spansOf(prefixes ...netip.Prefix) spans {
	var all spans
	for _, p := range prefixes {
		if p.IsValid() {
			all = append(all, span{p.Masked().Addr(), kernel.LastAddress(p)})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		return cmp.Or(all[i].first.Compare(all[j].first), all[i].last.Compare(all[j].last)) < 0
	})
	joined := all[:0]
	for _, s := range all {
		// Of two prefixes that overlap one contains the other.
		if n := len(joined); n == 0 || joined[n-1].last.Less(s.first) {
			joined = append(joined, s)
		} else if joined[n-1].last.Less(s.last) {
			joined[n-1] = s
		}
	}
	return joined
}

package nat

import (
	"slices"

	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// FirstPort is the lowest port that NAT draws: those below are system ports (RFC 6335 section 6).
const FirstPort = 1024

// maxMapped is how many ports a set in one piece may have, with those that are forwarded, to be mapped where forwards cut
// it: of a larger one the longest piece that is left is the pool.
const maxMapped = 4096

// A Pool is the range of ports that the kernel's NAT draws from: the kernel takes only one range. It is as long as the port
// set less the forwarded ports. Where those are not consecutive, each number of the pool stands for one of them.
type Pool struct {
	First, Last uint16 // 0, 0 where no port of the set may be drawn
	set         softwire.PortRange
	real        map[uint16]uint16 // number → port of the set, forwarded ports to themselves; nil where the pool lies in the set
}

// Pool returns the numbers by which connection tracking knows the translated connections.
func (c Config) Pool() Pool {
	if c.Untranslated != nil {
		return Pool{}
	}
	var forwarded []schema.PortRange
	for _, f := range c.Forwards {
		forwarded = append(forwarded, f.Ports...)
	}
	return newPool(c.Ports, forwarded)
}

// permuted reports whether numbers of the pool stand for other ports.
func (p Pool) permuted() bool { return p.real != nil }

// Size is how many numbers the pool has.
func (p Pool) Size() int {
	if p.First == 0 {
		return 0
	}
	return int(p.Last) - int(p.First) + 1
}

// Port returns the port of the set that a number of the pool stands for, and any other number as it is.
func (p Pool) Port(n uint16) uint16 {
	if real, ok := p.real[n]; ok {
		return real
	}
	return n
}

// Ports lists the ports of the set that NAT may draw, ascending.
func (p Pool) Ports() (ports []uint16) {
	for i := range p.Size() {
		n := p.First + uint16(i)
		if _, ok := p.real[n]; ok || !p.permuted() {
			ports = append(ports, p.Port(n))
		}
	}
	slices.Sort(ports)
	return ports
}

// Passes reports whether the filter lets out a packet that has the number as its source port.
func (p Pool) Passes(n uint16) bool {
	if p.permuted() {
		_, ok := p.real[n]
		return ok
	}
	return p.set.First <= n && n <= p.set.Last
}

// newPool places the pool.
//
// No packet depends on where: what arrives is mapped before connection tracking and what leaves after NAT, each once. But a
// number of the pool should not look like a port of the set, neither to a person nor to a table of which a part was flushed:
// so the pool lies in the lowest gap of the set that is wide enough. Where no gap is, it lies as high as it can without a
// forwarded port in it, and a port that is in both keeps its number.
func newPool(set []softwire.PortRange, forwarded []schema.PortRange) Pool {
	s := newPortSet(set, forwarded)
	if len(set) == 1 && (s.pieces() < 2 || len(s.drawn)+len(s.forwarded) > maxMapped) {
		p := Pool{set: set[0]}
		if first, n := longest(func(p int) bool { return s.kind[p] == drawable }); n > 0 {
			p.First, p.Last = uint16(first), uint16(first+n-1)
		}
		return p
	}
	whole := newPortSet(set, nil)
	if first, ok := whole.gap(len(whole.drawn)); ok {
		return s.inGap(first, whole.drawn)
	}
	return s.among()
}

// inGap returns a pool from first on that stands for as many of the ports as may be drawn. Each number keeps the port that
// it has when nothing is forwarded: living connections use it. Numbers whose ports are forwarded get those of the last
// numbers, which leave the pool.
func (s *portSet) inGap(first int, ports []uint16) Pool {
	p := s.empty(first, len(s.drawn))
	kept, rest := ports[:len(s.drawn)], ports[len(s.drawn):]
	for i, port := range kept {
		for s.kind[port] != drawable {
			port, rest = rest[0], rest[1:]
		}
		p.real[uint16(first+i)] = port
	}
	return p
}

// among returns a pool that has ports of the set among its numbers.
func (s *portSet) among() Pool {
	first, n := s.place()
	p := s.empty(first, n)
	free := first
	for _, port := range s.drawn {
		if int(port) >= first && int(port) < first+n {
			p.real[port] = port
			continue
		}
		for free < first+n && s.kind[free] != outside {
			free++
		}
		if free < first+n {
			p.real[uint16(free)] = port
			free++
		}
	}
	return p
}

// empty returns a pool of n numbers that stand for no port yet. Forwarded ports stand for themselves.
func (s *portSet) empty(first, n int) Pool {
	p := Pool{real: make(map[uint16]uint16, n+len(s.forwarded))}
	if n > 0 {
		p.First, p.Last = uint16(first), uint16(first+n-1)
	}
	for _, port := range s.forwarded {
		p.real[port] = port
	}
	return p
}

// What NAT may do with a port.
const (
	outside  = iota // not of the set
	reserved        // of the set, but forwarded or a system port
	drawable
)

// A portSet is a port set with what NAT may do with each port.
type portSet struct {
	kind             [1 << 16]byte
	drawn, forwarded []uint16
}

func newPortSet(set []softwire.PortRange, forwarded []schema.PortRange) *portSet {
	s := new(portSet)
	for _, r := range set {
		for p := int(r.First); p <= int(r.Last); p++ {
			s.kind[p] = drawable
			if p < FirstPort {
				s.kind[p] = reserved
			}
		}
	}
	for _, r := range forwarded {
		for p := int(r.First); p <= int(r.Last); p++ {
			if s.kind[p] != outside {
				s.kind[p] = reserved
				s.forwarded = append(s.forwarded, uint16(p))
			}
		}
	}
	for p := range s.kind {
		if s.kind[p] == drawable {
			s.drawn = append(s.drawn, uint16(p))
		}
	}
	return s
}

// pieces counts the runs of consecutive ports to draw.
func (s *portSet) pieces() int {
	n := 0
	for i, p := range s.drawn {
		if i == 0 || p != s.drawn[i-1]+1 {
			n++
		}
	}
	return n
}

// gap finds the lowest n consecutive numbers outside the set.
func (s *portSet) gap(n int) (first int, ok bool) {
	length := 0
	for p := FirstPort; p < len(s.kind); p++ {
		if length++; s.kind[p] != outside {
			length = 0
		}
		if length == n {
			return p - n + 1, true
		}
	}
	return 0, false
}

// place finds the place of a pool that fits into no gap, and how long it can be there.
func (s *portSet) place() (first, n int) {
	n = len(s.drawn)
	length := 0
	for p := len(s.kind) - 1; p >= FirstPort; p-- {
		if length++; s.kind[p] == reserved {
			length = 0
		}
		if length == n {
			return p, n
		}
	}
	return longest(func(p int) bool { return s.kind[p] != reserved })
}

// longest returns the first of the longest runs of ports from FirstPort on for which is holds.
func longest(is func(port int) bool) (first, n int) {
	length := 0
	for p := FirstPort; p < 1<<16; p++ {
		if length++; !is(p) {
			length = 0
		}
		if length > n {
			first, n = p-length+1, length
		}
	}
	return first, n
}

// inverse maps values to keys.
func inverse(m map[uint16]uint16) map[uint16]uint16 {
	inv := make(map[uint16]uint16, len(m))
	for k, v := range m {
		inv[v] = k
	}
	return inv
}

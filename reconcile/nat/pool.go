package nat

import (
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// FirstPort is the first that NAT may draw: those below are the system's (RFC 6335 section 6).
const FirstPort = 1024

// MostMapped is how many ports in one piece are put into maps when forwards cut them: more are drawn from the longest
// piece that is left, which has plenty.
const MostMapped = 4096

// A Pool is the ports that the kernel's NAT draws from, in one piece, because the kernel takes nothing else: as many as
// the set has without those that are forwarded. Where they are in pieces, they are the pool's under other numbers.
type Pool struct {
	First, Last uint16 // 0, 0 where the set has no port that may be drawn
	Set         softwire.PortRange
	Real        map[uint16]uint16 // pool → set, forwarded ports to themselves; nil where the pool is of the set
}

func (p Pool) Permuted() bool { return p.Real != nil }

// Size is how many numbers it has.
func (p Pool) Size() int {
	if p.First == 0 {
		return 0
	}
	return int(p.Last) - int(p.First) + 1
}

// Pool returns the ports that connection tracking knows the translated connections by.
func (c Config) Pool() Pool {
	var forwarded []schema.PortRange
	for _, f := range c.Forwards {
		forwarded = append(forwarded, f.Ports...)
	}
	return NewPool(c.Ports, forwarded)
}

// Port is the real port that a number of the pool stands for; every other number stands for itself.
func (p Pool) Port(n uint16) uint16 {
	if real, ok := p.Real[n]; ok {
		return real
	}
	return n
}

// NewPool places the pool.
//
// No packet depends on where: what arrives is mapped before connection tracking looks and what leaves after NAT is
// done, each once. But a pool number should not look like a port of the set to a person, or to a table that somebody
// flushed half: so it lies in the lowest gap of the set that is wide enough. Where no gap is, the pool lies as high as
// it can without a forwarded port in it, and what is in both keeps its number.
func NewPool(set []softwire.PortRange, forwarded []schema.PortRange) Pool {
	s := newPortSet(set, forwarded)
	if len(set) == 1 && (s.pieces() < 2 || len(s.drawn) > MostMapped) {
		p := Pool{Set: set[0]}
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

// inGap makes a pool from first on that stands for as many of the ports as may be drawn. Each number keeps the port that
// it has when nothing is forwarded, for living connections know it. The last ones of the pool give theirs to those whose
// ports are forwarded, and are gone.
func (s *portSet) inGap(first int, ports []uint16) Pool {
	p := s.empty(first, len(s.drawn))
	kept, rest := ports[:len(s.drawn)], ports[len(s.drawn):]
	for i, port := range kept {
		for s.kind[port] != drawable {
			port, rest = rest[0], rest[1:]
		}
		p.Real[uint16(first+i)] = port
	}
	return p
}

// among makes a pool where it has to have ports of the set among its numbers.
func (s *portSet) among() Pool {
	first, n := s.place()
	p := s.empty(first, n)
	free := first
	for _, port := range s.drawn {
		if int(port) >= first && int(port) < first+n {
			p.Real[port] = port
			continue
		}
		for free < first+n && s.kind[free] != outside {
			free++
		}
		if free < first+n {
			p.Real[uint16(free)] = port
			free++
		}
	}
	return p
}

// empty is a pool of n numbers that stand for nothing yet. Forwarded ports stand for themselves.
func (s *portSet) empty(first, n int) Pool {
	p := Pool{Real: make(map[uint16]uint16, n+len(s.forwarded))}
	if n > 0 {
		p.First, p.Last = uint16(first), uint16(first+n-1)
	}
	for _, port := range s.forwarded {
		p.Real[port] = port
	}
	return p
}

// What a port is to NAT.
const (
	outside  = iota // not of the set
	reserved        // of the set, but a forward's or the system's
	drawable
)

// A portSet is a port set with what its ports are for.
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

// pieces is how many runs the ports to draw are in.
func (s *portSet) pieces() int {
	n := 0
	for i, p := range s.drawn {
		if i == 0 || p != s.drawn[i-1]+1 {
			n++
		}
	}
	return n
}

// gap finds the lowest n numbers that follow each other and are not of the set.
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

// place finds where a pool is to be that fits into no gap, and how long it can be.
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

// longest returns the first longest run of ports from firstPort on that all are something.
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

func Inverse(m map[uint16]uint16) map[uint16]uint16 {
	inv := make(map[uint16]uint16, len(m))
	for k, v := range m {
		inv[v] = k
	}
	return inv
}

// Passes says whether the guard lets out what has the number as its source port.
func (p Pool) Passes(n uint16) bool {
	if p.Permuted() {
		_, ok := p.Real[n]
		return ok
	}
	return p.Set.First <= n && n <= p.Set.Last
}

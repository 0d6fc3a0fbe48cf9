package reconcile

import "mape-netplan/reconcile/softwire"

// firstPort is the first that NAT may draw: those below are the system's (RFC 6335 section 6).
const firstPort = 1024

// A pool is the ports that the kernel's NAT draws from: as many as the set has, in one piece, because the kernel takes
// nothing else. Where the set is in pieces, its ports are the pool's under other numbers.
type pool struct {
	first, last uint16 // 0, 0 where the set has no port that may be drawn
	set         softwire.PortRange
	real        map[uint16]uint16 // pool → set; nil where the pool is the set
}

func (p pool) permuted() bool { return p.real != nil }

// pool returns the ports that connection tracking knows the gateway's connections by.
func (g *Gateway) pool() pool { return newPool(g.Softwire.Ports()) }

// port is the real port that a number of the pool stands for; every other number stands for itself.
func (p pool) port(n uint16) uint16 {
	if real, ok := p.real[n]; ok {
		return real
	}
	return n
}

// newPool places the pool.
//
// No packet depends on where: what arrives is mapped before connection tracking looks and what leaves after NAT is
// done, each once. But a pool number should not look like a port of the set to a person, or to a table that somebody
// flushed half: so it lies in the lowest gap of the set that is wide enough. Where no gap is, the pool ends at 65535 and
// what is in both keeps its number.
func newPool(set []softwire.PortRange) pool {
	var ports []uint16
	in := make([]bool, 1<<16)
	for _, r := range set {
		for p := int(r.First); p <= int(r.Last); p++ {
			in[p] = true
			if p >= firstPort {
				ports = append(ports, uint16(p))
			}
		}
	}
	n := len(ports)
	if len(set) == 1 {
		p := pool{set: set[0]}
		if n > 0 {
			p.first, p.last = ports[0], ports[n-1]
		}
		return p
	}
	first := gap(in, n)
	p := pool{real: make(map[uint16]uint16, n)}
	if n > 0 {
		p.first, p.last = uint16(first), uint16(first+n-1)
	}
	free := first
	for _, port := range ports {
		if port >= p.first && port <= p.last {
			p.real[port] = port
			continue
		}
		for in[free] {
			free++
		}
		p.real[uint16(free)] = port
		free++
	}
	return p
}

// gap returns where the first n numbers in a row begin that are not in the set, or the last n numbers.
func gap(in []bool, n int) int {
	length := 0
	for p := firstPort; p < len(in); p++ {
		length++
		if in[p] {
			length = 0
		}
		if length == n {
			return p - n + 1
		}
	}
	return len(in) - n
}

func inverse(m map[uint16]uint16) map[uint16]uint16 {
	inv := make(map[uint16]uint16, len(m))
	for k, v := range m {
		inv[v] = k
	}
	return inv
}

package softwire

import "fmt"

// PortRange is the ports First to Last, both included. In ICMP queries the identifier plays the port's part (RFC 7597
// section 5.1).
type PortRange struct{ First, Last uint16 }

func (r PortRange) String() string { return fmt.Sprintf("%d-%d", r.First, r.Last) }

// Ports is a port set (RFC 7597 section 5.1). The zero value is that of an address that is not shared: all ports.
type Ports struct {
	PSID       uint16 // right-aligned; 0 when PSIDLen is 0
	PSIDLen    int    // bits, k; 0 when the address is not shared
	PSIDOffset int    // bits, a; without effect when PSIDLen is 0
}

// Port 0 is in no set: it is reserved (RFC 6335 section 6) and no packet may carry it.
//
// Without a PSID the whole address is the CE's (RFC 7597 section 5.2: o + r = 32) and so are all its ports. The offset
// exists to keep the system ports out of the sets of several CEs; with one CE there is nothing to split and it is
// ignored, as in OpenWrt and in RFC 7597 appendix A example 4.

// portBits is m, the number of low bits of a port that the CE is free to choose (RFC 7597 section 5.1).
func (s Ports) portBits() int { return 16 - s.PSIDOffset - s.PSIDLen }

// Ranges is the port set in ascending order: one range when it is contiguous (no PSID, or offset 0), else one for every
// value of the offset's bits but 0.
func (s Ports) Ranges() []PortRange {
	if s.PSIDLen == 0 {
		return []PortRange{{First: 1, Last: 65535}}
	}
	width := 1 << s.portBits()
	base := int(s.PSID) << s.portBits()
	if s.PSIDOffset == 0 {
		return contiguous(base, width)
	}
	blocks := 1 << s.PSIDOffset
	ranges := make([]PortRange, 0, blocks-1)
	for block := 1; block < blocks; block++ {
		first := block<<(16-s.PSIDOffset) | base
		ranges = append(ranges, PortRange{First: uint16(first), Last: uint16(first + width - 1)})
	}
	return ranges
}

func contiguous(base, width int) []PortRange {
	first, last := max(base, 1), base+width-1
	if first > last {
		return nil
	}
	return []PortRange{{First: uint16(first), Last: uint16(last)}}
}

// Count is the number of ports in the set.
func (s Ports) Count() int {
	width := 1 << s.portBits()
	switch {
	case s.PSIDLen == 0:
		return 65535
	case s.PSIDOffset > 0:
		return (1<<s.PSIDOffset - 1) * width
	case s.PSID == 0:
		return width - 1
	default:
		return width
	}
}

// Has reports whether p is in the set.
func (s Ports) Has(p uint16) bool {
	if p == 0 {
		return false
	}
	if s.PSIDLen == 0 {
		return true
	}
	if s.PSIDOffset > 0 && p>>(16-s.PSIDOffset) == 0 {
		return false
	}
	return int(p)>>s.portBits()&(1<<s.PSIDLen-1) == int(s.PSID)
}

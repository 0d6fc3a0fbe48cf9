package softwire_test

import (
	"fmt"
	"testing"

	"mape-netplan/reconcile/softwire"
)

// portSet is a softwire of which only the ports matter.
func portSet(offset, length, psid int) softwire.Softwire {
	return softwire.Softwire{Ports: softwire.Ports{PSIDOffset: offset, PSIDLen: length, PSID: uint16(psid)}}
}

// eachSplit calls f for every offset and length that fit a port.
func eachSplit(t *testing.T, f func(t *testing.T, offset, length int)) {
	for offset := range 16 {
		for length := 0; offset+length <= 16; length++ {
			t.Run(fmt.Sprintf("a=%d,k=%d", offset, length), func(t *testing.T) { f(t, offset, length) })
		}
	}
}

func TestPortsAscendAndCount(t *testing.T) {
	eachSplit(t, func(t *testing.T, offset, length int) {
		top := 1<<length - 1
		for _, psid := range []int{0, 1 & top, top / 3, top / 2, top} {
			s := portSet(offset, length, psid)
			end, sum := 0, 0
			for _, r := range s.Ports.Ranges() {
				// A gap of one port at least: ranges that touch would be one range.
				if int(r.First) <= end || r.Last < r.First || (end > 0 && int(r.First) == end+1) {
					t.Fatalf("psid %#x: %v follows port %d", psid, r, end)
				}
				end, sum = int(r.Last), sum+int(r.Last)-int(r.First)+1
			}
			if sum != s.Ports.Count() {
				t.Errorf("psid %#x: PortCount is %d, the ranges have %d", psid, s.Ports.Count(), sum)
			}
		}
	})
}

func TestHasPortAgreesWithPorts(t *testing.T) {
	eachSplit(t, func(t *testing.T, offset, length int) {
		top := 1<<length - 1
		for _, psid := range []int{0, top / 3, top} {
			s := portSet(offset, length, psid)
			var in [1 << 16]bool
			for _, r := range s.Ports.Ranges() {
				for p := int(r.First); p <= int(r.Last); p++ {
					in[p] = true
				}
			}
			for p := range in {
				if s.Ports.Has(uint16(p)) != in[p] {
					t.Fatalf("psid %#x: HasPort(%d) is %v", psid, p, !in[p])
				}
			}
		}
	})
}

// TestPSIDsShareAllPorts: the sets of all PSIDs have no port in common and leave out only the ports whose offset bits
// are all 0 (RFC 7597 section 5.1), and port 0.
func TestPSIDsShareAllPorts(t *testing.T) {
	eachSplit(t, func(t *testing.T, offset, length int) {
		first := 1
		if offset > 0 && length > 0 {
			first = 1 << (16 - offset)
		}
		var owners [1 << 16]int
		for psid := range 1 << length {
			for _, r := range portSet(offset, length, psid).Ports.Ranges() {
				for p := int(r.First); p <= int(r.Last); p++ {
					owners[p]++
				}
			}
		}
		for p, n := range owners {
			if want := p >= first; n != 1 && want || n != 0 && !want {
				t.Fatalf("port %d is in %d sets; the first of a set is %d", p, n, first)
			}
		}
	})
}

// TestOneRange: the set is contiguous without an offset, and when the address is not shared whatever the offset.
func TestOneRange(t *testing.T) {
	for _, test := range []struct {
		offset, length, psid int
		want                 string
	}{
		{0, 0, 0, "[1-65535]"},
		{6, 0, 0, "[1-65535]"},
		{15, 0, 0, "[1-65535]"},
		{0, 8, 0, "[1-255]"},
		{0, 8, 0x34, "[13312-13567]"},
		{0, 16, 443, "[443-443]"},
		{0, 16, 0, "[]"},
		{1, 15, 7, "[32775-32775]"},
	} {
		s := portSet(test.offset, test.length, test.psid)
		if got := fmt.Sprint(s.Ports.Ranges()); got != test.want {
			t.Errorf("a=%d k=%d psid=%#x: ports are %s, want %s", test.offset, test.length, test.psid, got, test.want)
		}
	}
}

func BenchmarkPorts(b *testing.B) {
	s := portSet(6, 6, 0x34)
	for b.Loop() {
		s.Ports.Ranges()
	}
}

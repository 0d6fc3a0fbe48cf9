package ruleset

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// TestMatches: what iptables before 1.8.8 writes of ports.
func TestMatches(t *testing.T) {
	ports := func(numbers ...uint16) (b []byte) {
		for _, n := range numbers {
			b = binary.NativeEndian.AppendUint16(b, n)
		}
		return b
	}
	number := func(b []byte) uint32 { return binary.BigEndian.Uint32(append(make([]byte, 4-len(b)), b...)) }
	several := func(kind, count, invert byte, ranges [15]byte, numbers ...uint16) []byte {
		b := append([]byte{kind, count}, ports(numbers...)...)
		b = append(b, make([]byte, 2*(15-len(numbers)))...)
		return append(append(b, ranges[:]...), invert)
	}
	for _, test := range []struct {
		name     string
		revision byte
		info     []byte
		want     string
	}{
		{"tcp", 0, append(ports(0, 65535, 80, 80), 0, 0, 0, 0), "dport [80-80] false"},
		{"tcp", 0, append(ports(1024, 65535, 80, 90), 0, 0, 0, 2), "sport [1024-65535] false, dport [80-90] true"},
		{"tcp", 0, append(ports(0, 65535, 80, 80), 0, 63, 2, 0), "tcp flags [2-2] false, dport [80-80] false"},
		{"udp", 0, append(ports(0, 65535, 53, 53), 0, 0), "dport [53-53] false"},
		{"udp", 0, ports(0, 65535, 53), "match udp ?"},
		{"multiport", 1, several(1, 3, 0, [15]byte{1: 1}, 80, 100, 200), "dport [80-80 100-200] false"},
		{"multiport", 1, several(0, 1, 1, [15]byte{}, 80), "sport [80-80] true"},
		{"tcp", 0, append(ports(0, 65535, 80, 80), 4, 0, 0, 0), "match tcp ?"},
		{"mark", 1, []byte{0, 0, 0, 0, 255, 255, 255, 255, 1}, "meta mark [0-0] true"},
		{"connmark", 1, []byte{0, 0, 0, 0, 255, 255, 255, 255, 0}, "ct mark [0-0] false"},
		{"icmp6", 0, []byte{134, 0, 255, 0}, "icmp type [134-134] false"},
		{"icmp6", 0, []byte{1, 4, 4, 0}, "match icmp6 ?"},
		{"hl", 0, []byte{0, 255}, "hop limit [255-255] false"},
		{"hl", 0, []byte{2, 64}, "match hl ?"},
		{"pkttype", 0, ports(1, 0, 0, 0), "meta pkttype [1-1] false"},
		{"rpfilter", 0, []byte{0}, "fib saddr oif [0-0] true"},
		{"rpfilter", 0, []byte{8}, "fib saddr oif [0-0] false"},
		{"multiport", 1, several(2, 1, 0, [15]byte{}, 80), "match multiport ?"},
	} {
		a, err := netlink.MarshalAttributes([]netlink.Attribute{
			{Type: unix.NFTA_MATCH_NAME, Data: append([]byte(test.name), 0)},
			{Type: unix.NFTA_MATCH_REV, Data: []byte{0, 0, 0, test.revision}}, {Type: unix.NFTA_MATCH_INFO, Data: test.info},
		})
		if err != nil {
			t.Fatal(err)
		}
		d := tracer{}
		d.extension("match", a)
		got := ""
		for i, s := range d.steps {
			if i > 0 {
				got += ", "
			}
			if s.Unknown {
				got += s.Fields[0] + " ?"
				continue
			}
			var in []string
			for _, c := range s.Any {
				v := c.Intervals[0]
				in = append(in, fmt.Sprintf("%d-%d", number(v.From), number(v.To)))
			}
			got += fmt.Sprint(s.Fields[0], " ", in, " ", s.Not)
		}
		if got != test.want {
			t.Errorf("%s: %s, not %s", test.name, got, test.want)
		}
	}
}

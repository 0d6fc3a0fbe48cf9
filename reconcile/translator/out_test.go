package translator_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// TestOut has what the vectors have not, each with what becomes of it.
func TestOut(t *testing.T) {
	udp := func() []byte { return hosttest.UdpTo(ours, port, theirs, 53, "hello") }
	zero := func() []byte {
		p := hosttest.UdpTo(ours, port, theirs, 53, "hello")
		p[26], p[27] = 0, 0
		return p
	}
	length := udp()
	length[25]++
	length[26], length[27] = 0, 0
	for _, test := range []struct {
		name string
		in   []byte
		want translator.Verdict
	}{
		{"checksum 0", zero(), translator.Translated},
		{"checksum 0 in a first fragment", fragmented(zero(), 0x2000), translator.Fragmented},
		{"checksum 0 of another length", length, translator.Malformed},
		{"no operation", withOptions(udp(), 1, 1, 1, 1), translator.Translated},
		{"router alert and end", withOptions(udp(), 148, 4, 0, 0, 0, 131, 9), translator.Translated},
		{"40 bytes of options", withOptions(udp(), append([]byte{7, 39, 4}, make([]byte, 36)...)...), translator.Translated},
		{"options and checksum 0", withOptions(zero(), 1), translator.Translated},
		{"options in a fragment", withOptions(fragmented(udp(), 0x2000), 1), translator.Translated},
		{"source route", withOptions(udp(), 131, 7, 4, 1, 2, 3, 4), translator.SourceRoute},
		{"strict source route", withOptions(udp(), 1, 137, 7, 4, 1, 2, 3, 4), translator.SourceRoute},
		{"source route that has ended", withOptions(udp(), 131, 7, 8, 1, 2, 3, 4), translator.Translated},
		{"option of length 0", withOptions(udp(), 7, 0), translator.SourceRoute},
		{"option beyond the header", withOptions(udp(), 1, 1, 7, 3), translator.SourceRoute},
		{"another source", hosttest.UdpTo("192.168.0.4", port, theirs, 53, ""), translator.Source},
		{"to multicast", hosttest.UdpTo(ours, port, "224.0.0.1", 53, ""), translator.Destination},
		{"to 0/8", hosttest.UdpTo(ours, port, "0.0.0.1", 53, ""), translator.Destination},
		{"to 127/8", hosttest.UdpTo(ours, port, "127.0.0.1", 53, ""), translator.Destination},
		{"to broadcast", hosttest.UdpTo(ours, port, "255.255.255.255", 53, ""), translator.Destination},
		{"to the shared address", hosttest.UdpTo(ours, port, ours, 53, ""), translator.Translated},
		{"GRE", hosttest.Ipv4(ours, theirs, 47, make([]byte, 8)), translator.Translated},
		{"ESP", hosttest.Ipv4(ours, theirs, 50, make([]byte, 8)), translator.Translated},
		{"ICMPv6 in IPv4", hosttest.Ipv4(ours, theirs, 58, make([]byte, 8)), translator.Protocol},
		{"a fragment header in IPv4", hosttest.Ipv4(ours, theirs, 44, make([]byte, 8)), translator.Protocol},
		{"ICMP in a later fragment", fragmented(hosttest.EchoTo(ours, theirs, 8, port), 5), translator.Fragmented},
		{"timestamp request", hosttest.Ipv4(ours, theirs, 1, []byte{13, 0, 0, 0, 0, 0, 0, 0}), translator.Type},
		{"half a TCP header", hosttest.Ipv4(ours, theirs, 6, make([]byte, 19))[:38], translator.Malformed},
		{"half a header", udp()[:19], translator.Malformed},
		{"less than its length", udp()[:24], translator.Malformed},
		{"padding", append(udp(), 0, 0, 0), translator.Translated},
		{"IPv6", make([]byte, 40), translator.Malformed},
	} {
		p, v := jool.Out(test.in)
		if v != test.want {
			t.Errorf("%s: %v, want %v", test.name, v, test.want)
		}
		if v == translator.Translated && test.in[9] != 47 && test.in[9] != 50 {
			judge6(t, p)
		}
	}
}

// TestErrorsOut holds every kind of ICMP error to RFC 7915 section 4.2. rest is the word behind the checksum.
func TestErrorsOut(t *testing.T) {
	about := hosttest.UdpTo(theirs, 53, ours, port, "hello")
	unreachable := map[byte][3]uint32{2: {4, 1, 6}, 3: {1, 4}, 9: {1, 1}, 10: {1, 1}, 13: {1, 1}, 15: {1, 1},
		0: {1}, 1: {1}, 5: {1}, 6: {1}, 7: {1}, 8: {1}, 11: {1}, 12: {1}}
	pointer := map[uint32]uint32{0: 0, 1: 1, 2: 4, 3: 4, 8: 7, 9: 6, 12: 8, 13: 8, 14: 8, 15: 8, 16: 24, 17: 24, 18: 24, 19: 24}
	want := func(kind, code byte, rest uint32) (w [3]uint32, ok bool) {
		switch kind {
		case 3:
			w, ok = unreachable[code]
		case 11:
			return [3]uint32{3, uint32(code)}, true
		case 12:
			p, has := pointer[rest>>24]
			return [3]uint32{4, 0, p}, has && (code == 0 || code == 2)
		}
		return w, ok
	}
	try := func(kind, code byte, rest uint32, about []byte, want [3]uint32, ok bool) {
		t.Helper()
		e := binary.BigEndian.AppendUint32([]byte{kind, code, 0, 0}, rest)
		p, v := jool.Out(hosttest.Ipv4(ours, theirs, 1, append(e, about...)))
		if (v == translator.Translated) != ok {
			t.Errorf("%d/%d %x: %v, and translated should be %v", kind, code, rest, v, ok)
		}
		if v != translator.Translated {
			return
		}
		if got := [3]uint32{uint32(p[40]), uint32(p[41]), binary.BigEndian.Uint32(p[44:])}; got != want {
			t.Errorf("%d/%d %x is %d, want %d", kind, code, rest, got, want)
		}
		judge6(t, p)
	}
	for kind := range 20 {
		if kind == 0 || kind == 8 {
			continue
		}
		for code := range 18 {
			for _, rest := range []uint32{0, 21 << 24, 255 << 24} {
				if kind != 3 || code != 4 {
					w, ok := want(byte(kind), byte(code), rest)
					try(byte(kind), byte(code), rest, about, w, ok)
				}
			}
			for pointer := range uint32(24) {
				if kind == 12 {
					w, ok := want(12, byte(code), pointer<<24)
					try(12, byte(code), pointer<<24, about, w, ok)
				}
			}
		}
	}
	for mtu, want := range map[uint32]uint32{1400: 1420, 1480: 1500, 1500: 1500, 65535: 1500, 68: 1280, 1260: 1280, 1261: 1281} {
		try(3, 4, mtu, about, [3]uint32{2, 0, want}, true)
	}
	for size, want := range map[int]uint32{1492: 1280, 1493: 1492, 1500: 1492, 1280: 1280, 600: 1280} {
		try(3, 4, 0, hosttest.UdpTo(theirs, 53, ours, port, string(make([]byte, size-28)))[:28], [3]uint32{2, 0, want}, true)
	}
	try(3, 3, 0, withOptions(hosttest.UdpTo(theirs, 53, ours, port, "hello"), 131, 7, 4, 1, 2, 3, 4), [3]uint32{1, 4}, true)
	try(3, 3, 0, fragmented(hosttest.UdpTo(theirs, 53, ours, port, "hello"), 0x2000), [3]uint32{1, 4}, true)
	try(3, 3, 0, fragmented(hosttest.UdpTo(theirs, 53, ours, port, "hello"), 0x0003), [3]uint32{1, 4}, true)
	try(11, 1, 0, hosttest.EchoTo(theirs, ours, 8, port), [3]uint32{3, 1}, true)
	try(3, 3, 0, about[:20], [3]uint32{1, 4}, true)
	try(3, 3, 0, about[:19], [3]uint32{}, false)
	try(3, 3, 0, hosttest.ErrorTo(theirs, ours, 11, 0, 0, about), [3]uint32{}, false)
	try(3, 3, 0, hosttest.UdpTo(theirs, 53, "192.0.2.9", port, "hello"), [3]uint32{}, false)
}

// TestEveryDMR sends to all lengths of prefixes, and back.
func TestEveryDMR(t *testing.T) {
	for _, bits := range []int{32, 40, 48, 56, 64, 96} {
		tr := jool
		tr.DMR = netip.MustParsePrefix(fmt.Sprintf("2001:db8::/%d", bits))
		if err := tr.Check(); err != nil {
			t.Fatal(err)
		}
		in := hosttest.UdpTo(theirs, 53, ours, port, "hello")
		p, v := tr.ToCE(in)
		if v != translator.Translated {
			t.Fatal(v)
		}
		judge6(t, p)
		if back, v := tr.In(p, 0); string(back) != string(in) {
			t.Errorf("%s: %x became %x and %x, %v", tr.DMR, in, p, back, v)
		}
		out := hosttest.UdpTo(ours, port, theirs, 53, "hello")
		p, _ = tr.Out(out)
		if back, v := tr.FromCE(p, 0); string(back) != string(out) {
			t.Errorf("%s: %x became %x and %x, %v", tr.DMR, out, p, back, v)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, change := range []func(*translator.Translator){
		func(t *translator.Translator) { t.DMR = netip.MustParsePrefix("2001:db8::/60") },
		func(t *translator.Translator) { t.DMR = netip.MustParsePrefix("2001:db8::100:0:0:0/96") },
		func(t *translator.Translator) { t.DMR = netip.MustParsePrefix("2001:db8::1/96") },
		func(t *translator.Translator) { t.DMR = netip.MustParsePrefix("10.0.0.0/8") },
		func(t *translator.Translator) { t.DMR = netip.Prefix{} },
		func(t *translator.Translator) { t.CE = netip.MustParseAddr("192.0.2.1") },
		func(t *translator.Translator) { t.IPv4 = netip.MustParseAddr("::ffff:192.0.2.1") },
		func(t *translator.Translator) { t.PSIDOffset = 12 },
		func(t *translator.Translator) { t.MTU = 1279 },
	} {
		tr := jool
		change(&tr)
		if tr.Check() == nil {
			t.Errorf("%+v is not refused", tr)
		}
	}
}

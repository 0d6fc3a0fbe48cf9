package translator_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// TestIn has what the vectors have not, each with what becomes of it.
func TestIn(t *testing.T) {
	server, router, ce := from(theirs, jool), netip.MustParseAddr("2001:db8:f::9"), jool.CE
	to := func(src netip.Addr, port uint16) []byte {
		return ipv6(src, ce, 17, nil, 17, udpBody(53, port, "hello"))
	}
	behind := func(next byte, more ...byte) []byte {
		return ipv6(server, ce, next, more, 17, udpBody(53, port, "hello"))
	}
	echo := func(src netip.Addr, id uint16) []byte {
		return ipv6(src, ce, 58, nil, 58, []byte{128, 0, 0, 0, byte(id >> 8), byte(id), 0, 1})
	}
	noChecksum := to(server, port)
	noChecksum[46], noChecksum[47] = 0, 0
	options := func(next byte) []byte { return []byte{next, 0, 1, 4, 0, 0, 0, 0} }
	route := func(next, left byte) []byte { return []byte{next, 0, 0, left, 0, 0, 0, 0} }
	fragment := func(next byte, at uint16) []byte { return []byte{next, 0, byte(at >> 8), byte(at), 0, 7, 0x12, 0x34} }
	join := func(headers ...[]byte) (all []byte) {
		for _, h := range headers {
			all = append(all, h...)
		}
		return all
	}
	for _, test := range []struct {
		name string
		in   []byte
		want translator.Verdict
	}{
		{"first port", to(server, 55296), translator.Translated},
		{"last port", to(server, 57343), translator.Translated},
		{"port before", to(server, 55295), translator.Port},
		{"port behind", to(server, 57344), translator.Port},
		{"echo", echo(server, port), translator.Translated},
		{"echo with another identifier", echo(server, 1), translator.Port},
		{"echo to the address itself", echo(router, port), translator.Passed},
		{"not from the DMR", to(router, port), translator.Source},
		{"from multicast", to(from("224.0.0.1", jool), port), translator.Source},
		{"from 0/8", to(from("0.1.2.3", jool), port), translator.Source},
		{"from 127/8", to(from("127.0.0.1", jool), port), translator.Source},
		{"no checksum", noChecksum, translator.Checksum},
		{"hop-by-hop", behind(0, options(17)...), translator.Translated},
		{"all in a row", behind(0, join(options(60), options(43), route(60, 0), options(17))...), translator.Translated},
		{"too many", behind(0, join(options(60), options(60), options(60), options(60), options(60), options(60), options(17))...), translator.Header},
		{"a route with segments left", behind(43, route(17, 1)...), translator.Passed},
		{"a header beyond the end", behind(0, 17, 200, 1, 4, 0, 0, 0, 0), translator.Malformed},
		{"behind a fragment header", behind(44, join(fragment(60, 1), options(17))...), translator.Header},
		{"fragments within fragments", behind(44, join(fragment(44, 1), fragment(17, 1))...), translator.Header},
		{"first fragment", behind(44, fragment(17, 1)...), translator.Translated},
		{"first fragment behind options", behind(60, join(options(44), fragment(17, 1))...), translator.Translated},
		{"later fragment", behind(44, fragment(17, 80)...), translator.Translated},
		{"fragment alone", behind(44, fragment(17, 0)...), translator.Translated},
		{"ICMPv6 in fragments", ipv6(server, ce, 44, fragment(58, 1), 58, []byte{128, 0, 0, 0, 0, 1, 0, 1}), translator.Fragmented},
		{"IPv4 in IPv6 from the DMR", ipv6(server, ce, 4, nil, 4, hosttest.UdpTo(theirs, 53, ours, port, "")), translator.Port},
		{"IPv4 in IPv6", ipv6(netip.MustParseAddr("100::1"), ce, 4, nil, 4, hosttest.UdpTo(theirs, 53, ours, port, "")), translator.Source},
		{"ICMPv4 in IPv6", ipv6(server, ce, 1, nil, 1, make([]byte, 8)), translator.Protocol},
		{"GRE to a shared address", ipv6(server, ce, 47, nil, 47, make([]byte, 8)), translator.Port},
		{"neighbour solicitation", ipv6(netip.MustParseAddr("fe80::1"), ce, 58, nil, 58, make([]byte, 24)), translator.Passed},
		{"neighbour solicitation from the DMR", ipv6(server, ce, 58, nil, 58, []byte{135, 0, 0, 0, 0, 0, 0, 0}), translator.Passed},
		{"half a UDP header", ipv6(server, ce, 17, nil, 0, make([]byte, 3)), translator.Malformed},
		{"less than its length", to(server, port)[:50], translator.Malformed},
		{"half a header", to(server, port)[:39], translator.Passed},
		{"to another address", ipv6(server, router, 17, nil, 17, udpBody(53, port, "")), translator.Passed},
	} {
		p, v := jool.In(test.in, 0x1234)
		if v != test.want {
			t.Errorf("%s: %v, want %v", test.name, v, test.want)
		}
		if v == translator.Translated {
			judge4(t, p)
		}
	}
	whole := jool
	whole.PSIDLen = 0
	for _, next := range []byte{47, 50, 132} {
		if p, v := whole.In(ipv6(server, ce, next, nil, next, make([]byte, 8)), 0); v != translator.Translated || p[9] != next {
			t.Errorf("protocol %d to a whole address: %v", next, v)
		}
	}
	if p, _ := jool.In(to(server, port), 0x1234); p[4] != 0x12 || p[5] != 0x34 || p[6] != 0 {
		t.Errorf("a packet that may be fragmented has identification and flags %x", p[4:8])
	}
}

// TestErrorsIn holds every kind of ICMPv6 error to RFC 7915 section 5.2.
func TestErrorsIn(t *testing.T) {
	server, router := from(theirs, jool), netip.MustParseAddr("2001:db8:f::9")
	about, _ := jool.Out(hosttest.UdpTo(ours, port, theirs, 53, "hello"))
	try := func(src netip.Addr, kind, code byte, rest uint32, about []byte, want [3]uint32, verdict translator.Verdict) {
		t.Helper()
		e := binary.BigEndian.AppendUint32([]byte{kind, code, 0, 0}, rest)
		p, v := jool.In(ipv6(src, jool.CE, 58, nil, 58, append(e, about...)), 0)
		if v != verdict {
			t.Errorf("%d/%d %d: %v, want %v", kind, code, rest, v, verdict)
		}
		if v != translator.Translated {
			return
		}
		if got := [3]uint32{uint32(p[20]), uint32(p[21]), binary.BigEndian.Uint32(p[24:])}; got != want {
			t.Errorf("%d/%d %d is %d, want %d", kind, code, rest, got, want)
		}
		judge4(t, p)
	}
	pointer := map[uint32]uint32{0: 0, 1: 1, 4: 2, 5: 2, 6: 9, 7: 8}
	for p := range uint32(42) {
		switch {
		case p >= 8 && p < 24:
			pointer[p] = 12
		case p >= 24 && p < 40:
			pointer[p] = 16
		}
		w, verdict := [3]uint32{12, 0, pointer[p] << 24}, translator.Translated
		if _, ok := pointer[p]; !ok {
			verdict = translator.Passed
		}
		try(router, 4, 0, p, about, w, verdict)
	}
	unreachable := map[byte][3]uint32{0: {3, 1}, 1: {3, 10}, 2: {3, 1}, 3: {3, 1}, 4: {3, 3}}
	for code := range byte(9) {
		w, ok := unreachable[code]
		verdict := translator.Translated
		if !ok {
			verdict = translator.Passed
		}
		for _, src := range []netip.Addr{router, server} {
			try(src, 1, code, 0, about, w, verdict)
		}
	}
	for mtu, want := range map[uint32]uint32{1280: 1260, 1400: 1380, 1500: 1480, 9000: 1480, 1 << 20: 1480, 0: 68} {
		try(router, 2, 0, mtu, about, [3]uint32{3, 4, want}, translator.Translated)
	}
	try(router, 3, 0, 0, about, [3]uint32{11, 0}, translator.Translated)
	try(server, 3, 1, 0, about, [3]uint32{11, 1}, translator.Translated)
	try(router, 4, 1, 6, about, [3]uint32{3, 2}, translator.Translated)
	try(router, 4, 2, 6, about, [3]uint32{}, translator.Passed)
	try(router, 5, 0, 0, about, [3]uint32{}, translator.Passed)
	fragment, _ := jool.Out(fragmented(hosttest.UdpTo(ours, port, theirs, 53, "hello"), 0x2000))
	try(router, 3, 0, 0, fragment, [3]uint32{11, 0}, translator.Translated)
	fragment, _ = jool.Out(fragmented(hosttest.UdpTo(ours, port, theirs, 53, "hello"), 0x0003))
	try(router, 3, 0, 0, fragment, [3]uint32{11, 0}, translator.Translated)
	other, _ := jool.Out(hosttest.UdpTo(ours, 80, theirs, 53, "hello"))
	try(router, 3, 0, 0, other, [3]uint32{}, translator.Port)
	ping, _ := jool.Out(hosttest.EchoTo(ours, theirs, 8, port))
	try(router, 3, 0, 0, ping, [3]uint32{11, 0}, translator.Translated)
	try(router, 3, 0, 0, about[:39], [3]uint32{}, translator.Passed)
	try(router, 3, 0, 0, about[:40], [3]uint32{11, 0}, translator.Translated)
	// About a packet of the address itself.
	try(router, 1, 4, 0, ipv6(jool.CE, router, 17, nil, 17, udpBody(1, 2, "")), [3]uint32{}, translator.Passed)
}

package lab

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// The softwire of the tests: OCN, PSID 47, offset 6, ports 1776-1791, 2800-2815, …
var softwire = Judge{
	CE:    netip.MustParseAddr("2400:4050:5c71:af00:99:f171:c600:2f00"),
	BR:    netip.MustParseAddr("2001:380:a120::9"),
	IPv4:  netip.MustParsePrefix("153.241.113.198/32"),
	InSet: func(port uint16) bool { return port >= 1024 && port>>4&63 == 47 },
}

var (
	shared = netip.MustParseAddr("153.241.113.198")
	server = netip.MustParseAddr("203.0.113.10")
	inside = netip.MustParseAddr("192.168.1.10")
)

// frame puts an inner packet into an Ethernet frame from the CE to the BR.
func frame(src, dst netip.Addr, next byte, payload []byte) []byte {
	p := make([]byte, 14+40, 14+40+len(payload))
	p[12], p[13] = 0x86, 0xdd
	p[14] = 6 << 4
	binary.BigEndian.PutUint16(p[14+4:], uint16(len(payload)))
	p[14+6], p[14+7] = next, 64
	copy(p[14+8:], src.AsSlice())
	copy(p[14+24:], dst.AsSlice())
	return append(p, payload...)
}

func tunneled(inner []byte) []byte { return frame(softwire.CE, softwire.BR, protoIPIP, inner) }

// icmpError quotes what came to the CE.
func icmpError(kind byte, from netip.Addr, quoted []byte) []byte {
	p := make([]byte, 8, 8+len(quoted))
	p[0] = kind
	return ipv4(protoICMP, from, server, append(p, quoted...), 2)
}

// changed returns a copy of p with a byte replaced.
func changed(p []byte, at int, b byte) []byte {
	p = append([]byte(nil), p...)
	p[at] = b
	return p
}

// fragment marks a packet as a fragment and corrects the header's checksum.
func fragment(p []byte, offset int, more bool) []byte {
	p = append([]byte(nil), p...)
	binary.BigEndian.PutUint16(p[6:], uint16(offset/8))
	if more {
		p[6] |= 0x20
	}
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], checksum(p[:20], 0))
	return p
}

func TestJudge(t *testing.T) {
	port := func(a netip.Addr, p uint16) netip.AddrPort { return netip.AddrPortFrom(a, p) }
	udp := UDP(port(shared, 1776), port(server, 7), []byte("odd"))
	dstopt := func(next byte) []byte { return []byte{next, 0, 4, 1, 4, 1, 1, 0} } // RFC 2473 §5.1, limit 4
	tests := []struct {
		name   string
		frame  []byte
		tunnel bool
		reason string // part of it; "" is a good packet
	}{
		{"udp", tunneled(udp), true, ""},
		{"last port", tunneled(UDP(port(shared, 65279), port(server, 7), nil)), true, ""},
		{"tcp", tunneled(SYN(port(shared, 2815), port(server, 80))), true, ""},
		{"echo", tunneled(Echo(shared, server, 1790)), true, ""},
		{"udp without checksum", tunneled(changed(changed(udp, 26, 0), 27, 0)), true, ""},
		{"time exceeded", tunneled(icmpError(11, shared, UDP(port(server, 9), port(shared, 1777), nil))), true, ""},
		{"unreachable about an echo", tunneled(icmpError(3, shared, Echo(server, shared, 1777))), true, ""},
		{"later fragment", tunneled(fragment(udp, 1400, false)), true, ""},
		{"first fragment", tunneled(fragment(udp, 0, true)), true, ""},
		{"padding behind", append(tunneled(udp), 0, 0, 0), true, ""},

		{"arp", changed(changed(tunneled(udp), 12, 8), 13, 6), false, ""},
		{"neighbor solicitation", frame(softwire.CE, softwire.BR, 58, make([]byte, 24)), false, ""},
		{"multicast report", frame(softwire.CE, netip.MustParseAddr("ff02::16"), 0, append([]byte{58, 0, 5, 2, 0, 0, 1, 0}, make([]byte, 8)...)), false, ""},
		{"short frame", tunneled(udp)[:30], false, ""},

		{"native IPv4", changed(changed(tunneled(udp), 12, 8), 13, 0), true, "outside of the tunnel"},
		{"outer source", frame(netip.MustParseAddr("2400:4050:5c71:af00::5"), softwire.BR, protoIPIP, udp), true, "outer source 2400:4050:5c71:af00::5"},
		{"outer destination", frame(softwire.CE, netip.MustParseAddr("2001:380:a120::a"), protoIPIP, udp), true, "outer destination"},
		{"encapsulation limit", frame(softwire.CE, softwire.BR, protoDstOpts, append(dstopt(protoIPIP), udp...)), true, "destination options"},
		{"IPv6 inside", frame(softwire.CE, softwire.BR, protoIPv6, make([]byte, 40)), true, "next header 41"},
		{"outer fragment", frame(softwire.CE, softwire.BR, protoFragment, append([]byte{protoIPIP, 0, 0, 1, 0, 0, 0, 1}, udp...)), true, "fragmented"},
		{"later outer fragment", frame(softwire.CE, softwire.BR, protoFragment, []byte{protoIPIP, 0, 5, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}), true, "fragmented"},
		{"no inner packet", tunneled(nil), true, "not a whole IPv4 packet"},
		{"cut inner packet", tunneled(udp[:25]), true, "not a whole IPv4 packet"},
		{"private source", tunneled(UDP(port(inside, 1776), port(server, 7), nil)), true, "inner source 192.168.1.10"},
		{"tunnel's neighbor address", tunneled(UDP(port(netip.MustParseAddr("153.241.113.199"), 1776), port(server, 7), nil)), true, "inner source 153.241.113.199"},
		{"sent back", tunneled(UDP(port(Stranger, 9), port(shared, 1776), nil)), true, "sent back"},
		{"sent back translated", tunneled(UDP(port(shared, 1777), port(shared, 1776), nil)), true, "sent back"},
		{"udp port", tunneled(UDP(port(shared, 1792), port(server, 7), nil)), true, "source port 1792"},
		{"system port", tunneled(UDP(port(shared, 752), port(server, 7), nil)), true, "source port 752"},
		{"tcp port", tunneled(SYN(port(shared, 40000), port(server, 80))), true, "source port 40000"},
		{"first fragment's port", tunneled(fragment(UDP(port(shared, 1775), port(server, 7), []byte("x")), 0, true)), true, "source port 1775"},
		{"later fragment's source", tunneled(fragment(UDP(port(inside, 1776), port(server, 7), nil), 1400, false)), true, "inner source"},
		{"echo id", tunneled(Echo(shared, server, 1)), true, "ICMP id 1 "},
		{"quoted address", tunneled(icmpError(3, shared, UDP(port(server, 9), port(inside, 1777), nil))), true, "quotes a packet to 192.168.1.10"},
		{"quoted port", tunneled(icmpError(3, shared, UDP(port(server, 9), port(shared, 5000), nil))), true, "quoted destination port 5000"},
		{"quoted id", tunneled(icmpError(3, shared, Echo(server, shared, 5000))), true, "quoted ICMP id 5000"},
		{"quoted nothing", tunneled(icmpError(3, shared, nil)), true, "quotes no IPv4"},
		{"error's source", tunneled(icmpError(11, inside, UDP(port(server, 9), port(shared, 1777), nil))), true, "inner source 192.168.1.10"},
		{"redirect", tunneled(icmpError(5, shared, UDP(port(server, 9), port(shared, 1777), nil))), true, "redirect"},
		{"header checksum", tunneled(changed(udp, 8, 63)), true, "header checksum"},
		{"udp checksum", tunneled(changed(udp, 28, 'O')), true, "checksum of protocol 17"},
		{"icmp checksum", tunneled(changed(Echo(shared, server, 1776), 30, 1)), true, "checksum of protocol 1 "},
		{"gre", tunneled(ipv4(47, shared, server, make([]byte, 16), 14)), true, "protocol 47 has no port"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			v := softwire.Frame(test.frame)
			if v.Tunnel != test.tunnel {
				t.Errorf("tunnel packet: %v, want %v", v.Tunnel, test.tunnel)
			}
			if (v.Reason == "") != (test.reason == "") || !strings.Contains(v.Reason, test.reason) {
				t.Errorf("reason %q, want %q", v.Reason, test.reason)
			}
			if got, want := v.DstOpt, test.name == "encapsulation limit"; got != want {
				t.Errorf("DstOpt %v, want %v", got, want)
			}
			if got, want := v.SentBack, strings.HasPrefix(test.name, "sent back"); got != want {
				t.Errorf("SentBack %v, want %v", got, want)
			}
		})
	}
}

// A whole prefix, or a whole address, has no port set.
func TestJudgeWholePrefix(t *testing.T) {
	j := softwire
	j.IPv4, j.InSet = netip.MustParsePrefix("153.241.113.0/24"), nil
	for _, source := range []string{"153.241.113.0:1", "153.241.113.255:40000"} {
		v := j.Frame(tunneled(UDP(netip.MustParseAddrPort(source), netip.AddrPortFrom(server, 7), nil)))
		if v.Reason != "" {
			t.Errorf("from %s: %s", source, v.Reason)
		}
	}
	if v := j.Frame(tunneled(Echo(inside, server, 1))); v.Reason == "" {
		t.Error("a source outside of the prefix passed")
	}
}

// Whatever is on the wire, the judge answers.
func FuzzJudge(f *testing.F) {
	f.Add(tunneled(Echo(shared, server, 1776)))
	f.Add(tunneled(icmpError(3, shared, UDP(netip.AddrPortFrom(server, 9), netip.AddrPortFrom(shared, 1777), nil))))
	f.Fuzz(func(t *testing.T, frame []byte) { softwire.Frame(frame) })
}

// On a line that translates there is no packet inside of another.
func TestJudgeTranslated(t *testing.T) {
	j := far[MAPT]
	good := j.carried(j.CE, UDP(netip.MustParseAddrPort("192.0.2.18:1232"), netip.AddrPortFrom(server, 7), []byte("odd")))
	dstopt := frame(j.CE, netip.AddrFrom16([16]byte(good[38:54])), protoDstOpts, append([]byte{protoUDP, 0, 4, 1, 4, 1, 1, 0}, good[54:]...))
	for _, test := range []struct {
		name   string
		frame  []byte
		reason string
	}{
		{"udp", good, ""},
		{"checksum", changed(good, 62, 'O'), "checksum of protocol 17"},
		{"inside", frame(j.CE, j.BR, protoIPIP, Echo(j.IPv4.Addr(), server, 1232)), "inside of another"},
		{"later fragment inside", frame(j.CE, j.BR, protoFragment, []byte{protoIPIP, 0, 5, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}), "inside of another"},
		{"destination options", dstopt, "destination options"},
		{"private", j.carried(j.CE, UDP(netip.MustParseAddrPort("192.0.2.18:1232"), netip.MustParseAddrPort("192.168.9.9:7"), nil)), "not on the internet"},
	} {
		if v := j.Frame(test.frame); !v.Tunnel || (v.Reason == "") != (test.reason == "") || !strings.Contains(v.Reason, test.reason) {
			t.Errorf("%s: %+v, want %q", test.name, v, test.reason)
		}
	}
	if v := j.Frame(frame(j.CE, j.BR, protoUDP, make([]byte, 8))); v.Tunnel {
		t.Errorf("to the relay itself: %+v", v)
	}
}

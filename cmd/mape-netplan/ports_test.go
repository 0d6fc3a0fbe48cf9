package main

import (
	"net/netip"
	"strings"
	"testing"

	"mape-netplan/reconcile/ports"
)

// TestPrintUsage compares what ports shows of a port set in three pieces, drawn both ways.
func TestPrintUsage(t *testing.T) {
	used := func(tcp, udp int) map[string]int { return map[string]int{"tcp": tcp, "udp": udp, "icmp": 0} }
	u := ports.Usage{
		Address: netip.MustParsePrefix("192.0.2.18/32"), Ports: 44,
		Protocols: []ports.ProtocolUsage{
			{Protocol: "tcp", Used: 17, Connections: 30, Busiest: &ports.Destination{Address: netip.MustParseAddr("198.51.100.1"), Port: 443, Ports: 9}},
			{Protocol: "udp", Used: 28, Connections: 28, Busiest: &ports.Destination{Address: netip.MustParseAddr("198.51.100.2"), Port: 53, Ports: 20}},
			{Protocol: "icmp"},
		},
		Ranges: []ports.RangeUsage{
			{First: 1776, Last: 1791, Ports: 16, Used: used(16, 0)},
			{First: 2800, Last: 2815, Ports: 16, Used: used(1, 8)},
			{First: 3824, Last: 3839, Ports: 12, Forwarded: 4, Used: used(0, 12)},
			{First: 4848, Last: 4863, Forwarded: 16, Used: used(0, 0)},
		},
		Forwards: []ports.ForwardUsage{{Protocol: "both", Ports: "3824-3827", To: "192.168.1.10", Connections: 2}, {Protocol: "tcp", Ports: "4848-4863", To: "192.168.1.11:22"}},
	}
	for i := range 11 {
		u.Hosts = append(u.Hosts, ports.HostUsage{Address: netip.AddrFrom4([4]byte{192, 168, 1, byte(i)}), Used: used(20-i, i)})
	}
	blocks := strings.NewReplacer("#1.-", "█▁·-", ".5#-", "·▄█-", "...-", "···-", ". none in use, 1-9 tenths, # all", "· none in use, █ all").Replace(asciiUsage)
	for ascii, want := range map[bool]string{true: asciiUsage, false: blocks} {
		var b strings.Builder
		if err := printUsage(&b, u, picture(ascii)); err != nil || b.String() != want {
			t.Errorf("%v, got:\n%s\nwant:\n%s", err, b.String(), want)
		}
	}
}

const asciiUsage = `192.0.2.18: 44 ports for each protocol, 20 forwarded

      ports in use     connections  most ports towards one destination
tcp   17 of 44 = 39 %  30           198.51.100.1:443, 9 of 44 = 20 %
udp   28 of 44 = 64 %  28           198.51.100.2:53, 20 of 44 = 45 %
icmp  0 of 44 = 0 %    0            -

tcp  #1.-
udp  .5#-
icmp ...-
       ^^
     one sign for each range from 1776-1791 to 4848-4863; . none in use, 1-9 tenths, # all, ^ has forwarded ports

forwarded              to               connections
tcp and udp 3824-3827  192.168.1.10     2
tcp 4848-4863          192.168.1.11:22  0

ports of host  tcp  udp  icmp
192.168.1.0    20   0    0
192.168.1.1    19   1    0
192.168.1.2    18   2    0
192.168.1.3    17   3    0
192.168.1.4    16   4    0
192.168.1.5    15   5    0
192.168.1.6    14   6    0
192.168.1.7    13   7    0
192.168.1.8    12   8    0
192.168.1.9    11   9    0
and 1 more
`

func TestSpeaksUTF8(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want bool
	}{
		{nil, false}, {map[string]string{"LANG": "C.UTF-8"}, true}, {map[string]string{"LANG": "ja_JP.utf8"}, true}, {map[string]string{"LANG": "ja_JP.eucJP"}, false},
		{map[string]string{"LC_ALL": "C", "LANG": "C.UTF-8"}, false}, {map[string]string{"LC_CTYPE": "C.UTF-8", "LANG": "C"}, true},
	} {
		if got := speaksUTF8(func(name string) string { return test.env[name] }); got != test.want {
			t.Errorf("%v: %v", test.env, got)
		}
	}
}

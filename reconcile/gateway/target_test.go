package gateway_test

import (
	"errors"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// TestTargets refuses what no host has.
func TestTargets(t *testing.T) {
	lan := gatewaytest.Lines(gatewaytest.Inet("2400:4050:5c71:af00::5/64"))
	lan.Links = append(lan.Links,
		kernel.Link{Name: "eth2", Addresses: []kernel.Inet{gatewaytest.Inet("10.0.0.0/31"), gatewaytest.Inet("10.0.1.1/32"), gatewaytest.Inet("10.1.2.3/22")}},
		kernel.Link{Name: "mape0", Addresses: []kernel.Inet{gatewaytest.Inet("10.9.9.1/24")}})
	for to, want := range map[string]string{
		"192.168.1.0":      "mape.forwards[0].to: 192.168.1.0 is the network address of 192.168.1.0/24 on eth0, and no host has it; write the address of one",
		"192.168.1.255":    "mape.forwards[0].to: 192.168.1.255 is the broadcast address of 192.168.1.0/24 on eth0, ",
		"192.168.1.255:22": "mape.forwards[0].to: 192.168.1.255 is the broadcast address",
		"10.1.3.255":       "10.1.3.255 is the broadcast address of 10.1.0.0/22 on eth2, ",
		"153.241.113.198":  "mape.forwards[0].to: 153.241.113.198 is the shared address of the line itself; write the address of a host of the LAN, or the gateway's own there",
		"10.1.2.255":       "",
		"10.0.0.0":         "",
		"10.0.0.1":         "",
		"10.0.1.1":         "",
		"10.9.9.255":       "",
		"192.168.1.254":    "",
	} {
		g, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, `{forwards: [{port: 1776, to: "`+to+`"}]}`), lan)
		if err == nil && len(g.Off) > 0 {
			err = g.Off // The line alone says so.
		}
		var problems schema.Problems
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", to, err)
		case want != "" && (!errors.As(err, &problems) || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v\nwant %s", to, err, want)
		}
	}
	// With a prefix the shared address is known without a look at the machine.
	c := gatewaytest.SectionOf(t, `{prefix: "2400:4050:5c71:af00::/56", forwards: [{port: 1776, to: 153.241.113.198}]}`)
	if err := line.Check(c); err == nil || !strings.Contains(err.Error(), "forwards[0].to: 153.241.113.198 is the shared") {
		t.Errorf("Check: %v", err)
	}
}

// TestSharedAddressInside: what comes from the internet for the shared address must not reach a network of this machine.
func TestSharedAddressInside(t *testing.T) {
	const shared = "153.241.113.198"
	for _, test := range []struct {
		link, address string
		refused       bool
	}{
		{"eth0", shared + "/32", true},
		{"eth0", shared + "/24", true},
		{"eth0", "153.241.113.1/24", true},
		{"eth1", "153.241.0.1/16", true},
		{"docker0", "153.0.0.1/8", true},
		{"eth0", "153.241.112.1/24", false},
		{"mape0", shared + "/32", false}, // ours
	} {
		f := gatewaytest.Lines(gatewaytest.Advertised(gatewaytest.LineA+"::5/64", 1))
		f.Links, f.Owned.Tunnels = append(f.Links, kernel.Link{Name: "mape0", Kind: "ip6tnl"}), []string{"mape0"}
		for i := range f.Links {
			if f.Links[i].Name == test.link {
				f.Links[i].Addresses = append(f.Links[i].Addresses, gatewaytest.Static(test.address))
			}
		}
		_, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0}"), f)
		if refused := err != nil && strings.HasPrefix(err.Error(), "the line's IPv4 address "+shared+"/32 is in "); refused != test.refused || err != nil && !refused {
			t.Errorf("%s on %s: %v", test.address, test.link, err)
		}
	}
}

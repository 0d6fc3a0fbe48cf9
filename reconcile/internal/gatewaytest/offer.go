package gatewaytest

import (
	"net/netip"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

const (
	// Offer is a reply with the RFC's own example, and mesh a variant.
	Offer = `{"enabler_name": "E", "service_name": "S", "ttl": 3600, "order": ["map_e"], "map_e": {"br": "2001:db8:ffff::1",
		"rules": [{"ipv6": "2400:db8::/40", "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 4}]}}`
	Only464XLAT = `{"enabler_name": "E", "service_name": "S", "ttl": 3600, "order": ["464xlat"]}`
	Nothing     = `{"enabler_name": "E", "ttl": 3600, "order": []}`
	NoRecord    = "the line's resolver (::1) has no TXT record of 4over6.info.: the provider has no HB46PP"
)

// ClientOf asks the line of a test.
func ClientOf(l *hb46pptest.Line) hb46pp.Client {
	return hb46pp.Client{
		Servers: []netip.AddrPort{l.Resolver}, Interface: "lo", Roots: l.Roots(), Loopback: true,
		Limits: hb46pp.Limits{DNS: time.Second, Server: time.Second, Total: 5 * time.Second, Body: 1 << 20},
	}
}

package networkd_test

import (
	"encoding/hex"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// TestDUID is the identifier under which a link's DHCPv6 server may know it.
func TestDUID(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{
		"DHCP6_CLIENT_DUID=DUID-LL:0001bc2411000002\n":              "00030001bc2411000002",
		"DHCP6_CLIENT_DUID=DUID-EN/Vendor:0000ab1112345678\n":       "00020000ab1112345678",
		"DHCP6_CLIENT_DUID=DUID-LLT:00012a3b4c5dbc2411000002\n":     "000100012a3b4c5dbc2411000002",
		"DHCP6_CLIENT_DUID=UUID:00112233445566778899aabbccddeeff\n": "000400112233445566778899aabbccddeeff",
		"DHCP6_CLIENT_DUID=0005:aabb\n":                             "00030001020000000001",
		"DHCP6_CLIENT_DUID=DUID-LL:xy\n":                            "00030001020000000001",
		"DHCP6_CLIENT_DUID=\n":                                      "00030001020000000001",
		"ADMIN_STATE=configured\n":                                  "00030001020000000001",
	} {
		h, _ := hosttest.HostOf(t, "-- run/systemd/netif/links/4 --\n"+state)
		if got := hex.EncodeToString(networkd.DUID(h, kernel.Link{Index: 4, MAC: "02:00:00:00:00:01"})); got != want {
			t.Errorf("%q: %s, want %s", state, got, want)
		}
	}
	h, _ := hosttest.HostOf(t, "")
	for _, mac := range []string{"", "00:00:00:00:fe:80:00:00", "02:00:00:00:00:00:00:01"} {
		if got := networkd.DUID(h, kernel.Link{Index: 4, MAC: mac}); got != nil {
			t.Errorf("%q: %x", mac, got)
		}
	}
}

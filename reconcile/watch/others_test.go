package watch

import (
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
)

// TestWatchTells: what keeps a gateway in sync from working is logged once, is in the state for the service manager while
// it lasts, and its end is logged.
func TestWatchTells(t *testing.T) {
	for _, test := range []struct{ what, do, says, undo string }{
		{"a line that falls silent", "ip -6 route del default", "eth1 has no IPv6 default route", "ip -6 route add default via fe80::1 dev eth1"},
		{"a firewall that drops all that is forwarded", "nft 'add table inet others; add chain inet others f { type filter hook forward priority 0; policy drop; }'",
			"table inet others, chain f: the policy drops new connections from eth0 to mape0", "nft delete table inet others"},
		{"a firewall that drops the tunnel's packets", "nft 'add table ip6 others; add chain ip6 others i { type filter hook input priority 0; policy drop; }'",
			"table ip6 others, chain i: the policy drops the tunnel's packets from the border relay", "nft delete table ip6 others"},
		{"a rule in a chain that was there", "nft 'add rule ip others f drop'", "table ip others, chain f: rule handle", "nft flush chain ip others f"},
		{"another masquerade", "nft 'add table ip nat; add chain ip nat p { type nat hook postrouting priority 50; }; add rule ip nat p masquerade'",
			"table ip nat, chain p", "nft delete table ip nat"},
		{"a VPN's rule", "ip route add default dev eth0 table 77; ip rule add pref 100 lookup 77", "packets of this machine to the internet", "ip rule del pref 100"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			g := newMachine(t)
			g.Exec(t, "ip", "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth1")
			g.Exec(t, "nft", "add table ip others; add chain ip others f { type filter hook forward priority 0; policy accept; }")
			w := startService(t, g, gatewaytest.LineSection)
			w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
			w.looks(t)
			w.forget()
			w.Exec(t, "sh", "-ec", test.do)
			w.says(t, "<4>"+test.says)
			w.await(t, "the state has it", func() bool { return strings.Contains(w.status(), "; "+test.says) })
			w.looks(t)
			if n := w.said("<4>" + test.says); n != 1 {
				t.Errorf("said %d times: %q", n, w.log)
			}
			w.Exec(t, "sh", "-ec", test.undo)
			w.says(t, "<5>no longer: "+test.says)
			w.await(t, "the state is good", func() bool { return !strings.Contains(w.status(), test.says) })
		})
	}
}

// TestWatchTellsAtStart what was there before.
func TestWatchTellsAtStart(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	g.Exec(t, "nft", "add table ip others; add chain ip others f { type filter hook forward priority 0; policy drop; }")
	w := startService(t, g, gatewaytest.LineSection)
	w.says(t, "<4>table ip others, chain f: the policy drops new connections from eth0 to mape0")
	w.says(t, "<4>systemd-networkd is not running")
	w.says(t, "<4>eth1 has no IPv6 default route")
}

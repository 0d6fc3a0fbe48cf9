package main

import "testing"

// TestForeignTable: on a machine with a table of our name that another program made, no verb changes anything, on a line
// that is ready, on one that is not, and beside a gateway that lost its own table to it.
func TestForeignTable(t *testing.T) {
	b := newBed(t, twoForwards)
	const theirs = "add table ip mape { comment \"mine\"; }; add chain ip mape postrouting { type nat hook postrouting priority 100; }; " +
		"add rule ip mape postrouting oifname eth1 masquerade"
	state := func() string {
		return b.sh("nft list ruleset; ip -6 address show dev eth1 scope global; ip route; find $0 -type f ! -name '*.lock' | sort | xargs cat")
	}
	refused := func() {
		t.Helper()
		b.sh("nft flush ruleset; nft '" + theirs + "'")
		before := state()
		for _, verb := range []string{"plan", "status", "apply --timeout 100ms", "ports", "guard", "doctor", "remove"} {
			b.says(1, verb, "mape-netplan: table ip mape: was not written by mape-netplan (its comment does not say so); ")
		}
		if after := state(); after != before {
			t.Errorf("it was\n%s\nand is\n%s", before, after)
		}
	}
	refused()
	b.sh("ip address add " + prefixA + "::5/64 dev eth1 nodad; ip -6 route add default via fe80::1 dev eth1")
	refused()
	b.sh("nft flush ruleset")
	b.says(0, "apply", "table ip mape")
	refused()
	b.sh("nft delete table ip mape")
	b.says(0, "apply", "table ip mape")
	b.says(0, "status")
}

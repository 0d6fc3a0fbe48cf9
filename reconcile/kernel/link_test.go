package kernel_test

import (
	"testing"

	"mape-netplan/reconcile/kernel"
)

// TestMatches reads lists of patterns as networkd does (systemd.network(5), Name=).
func TestMatches(t *testing.T) {
	l := kernel.Link{Name: "enp2s0", AltNames: []string{"wan"}}
	for patterns, want := range map[string]bool{
		"enp2s0": true, "en*": true, "e?p2s0": true, "eth* wan": true, "en[!x]*": true, "en[!p]*": false, "en[^p]*": false,
		"eth0": false, "": false, "!eth0": true, "![": true, "[": false, "enp2s0.5": false,
	} {
		if got := l.Matches(patterns); got != want {
			t.Errorf("%q: %v", patterns, got)
		}
	}
}

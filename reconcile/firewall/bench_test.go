package firewall_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nft"
)

// BenchmarkForeign reads what others have: nothing; 5000 rules where they cannot matter; and as many in a chain that
// forwarded packets meet, with and without sets of their own.
func BenchmarkForeign(b *testing.B) {
	const elsewhere, forward = "type nat hook prerouting priority dstnat", "type filter hook forward priority 0; policy drop"
	for _, test := range []struct{ name, chain, match string }{
		{"none", "", ""},
		{"elsewhere", elsewhere, "ip saddr 10.%d.%d.0/24"},
		{"forward", forward, "ip saddr 10.%d.%d.0/24"},
		{"sets", forward, "ip saddr { 10.%d.%d.0/24, 192.0.2.1 }"},
	} {
		b.Run(test.name, func(b *testing.B) {
			n := bystander(b)
			if test.chain != "" {
				var rules strings.Builder
				for i := range 5000 {
					fmt.Fprintf(&rules, "iifname \"eth%d\" "+test.match+" tcp dport %d counter accept\n", i%7+10, i/250, i%250, i+1)
				}
				table(b, n, "chain c { "+test.chain+"\n"+rules.String()+"}")
			}
			root, err := os.OpenRoot("/")
			if err != nil {
				b.Fatal(err)
			}
			defer root.Close()
			h := &host.Host{Root: root, NFT: nft.OpenNS(n.FD())}
			b.ReportAllocs()
			n.Do(func() {
				for b.Loop() {
					if _, err := firewall.Read(h); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

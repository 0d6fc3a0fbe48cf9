package reconcile

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"mape-netplan/reconcile/nft"
)

// tableName is the nftables table that the program owns, of family ip.
const tableName = "mape"

// A Table is the nftables table ip mape: guard, NAT and MSS clamp.
type Table struct{ nft.Table }

func (t Table) Name() string { return "table ip " + tableName }

func (Table) Traits() Traits { return Traits{Stage: Guard_, Event: TableEvent, Urgent: true} }

// Restore also cuts off the connections that the other table made.
func (t Table) Restore(after Resource) []Resource {
	return []Resource{t, madeMeanwhile(Change{t, after})}
}

func (t Table) Read(_ context.Context, h *Host) (Resource, error) {
	live, err := t.Live(h)
	return live, err
}

// Live is Read, as a table.
func (Table) Live(h *Host) (Table, error) {
	live, err := nft.Read(h.NFT, tableName)
	return Table{live}, err
}

// Brief names a table that is the guard alone.
func (t Table) Brief() string {
	if t.Closed() {
		return "the guard alone: nothing passes the tunnel"
	}
	return ""
}

// Write replaces the table in one transaction.
func (t Table) Write(_ context.Context, h *Host) error { return t.Table.Write(h.NFT) }

// Closed says whether the table is a guard without a line: its chains only drop.
func (t Table) Closed() bool {
	rules := 0
	for _, c := range t.Chains {
		if c.Type != nftables.ChainTypeFilter || slices.ContainsFunc(c.Rules, func(r nft.Rule) bool { return !r.OnlyDrops() }) {
			return false
		}
		rules += len(c.Rules)
	}
	return rules > 0
}

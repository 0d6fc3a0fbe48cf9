package resource

import (
	"context"
	"slices"

	"github.com/google/nftables"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
)

// A Table is the nftables table ip mape: filter, NAT and MSS clamp.
type Table struct{ nft.Table }

func (t Table) Name() string { return "table ip " + nat.Name }

func (Table) Traits() engine.Traits {
	return engine.Traits{Event: engine.TableEvent, Urgent: true}
}

// Restore also closes the connections that the table after it made.
func (t Table) Restore(after engine.Resource) []engine.Resource {
	closed := Conntrack{Now: nat.Translations(t.Table)}
	if after, ok := after.(Table); ok {
		closed.Was = nat.Translations(after.Table)
	}
	return []engine.Resource{t, closed}
}

func (t Table) Read(_ context.Context, h *host.Host) (engine.Resource, error) { return t.Live(h) }

// Live is Read, as a table.
func (Table) Live(h *host.Host) (Table, error) {
	live, err := nat.Read(h.NFT)
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
func (t Table) Write(_ context.Context, h *host.Host) error { return t.Table.Write(h.NFT) }

// Closed reports whether the table is a guard without a line: its chains only drop.
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

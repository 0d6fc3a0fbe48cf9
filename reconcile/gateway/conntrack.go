package gateway

import (
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/resource"
)

// Connections are the connections that a gateway does not want, or with none those that were ours.
func Connections(g *Gateway, f facts.Facts) resource.Conntrack {
	if g == nil {
		return resource.Conntrack{Was: f.Owned.Translations}
	}
	return resource.Conntrack{Was: f.Owned.Translations, Now: g.Nat().Translations(g.Pool), Guard: g.Pool, Closed: g.Inbound == "drop"}
}

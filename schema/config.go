// Package schema reads the mape: section of a YAML file.
//
// It knows the section's keys, their types and the bounds of single values,
// and says of everything that is wrong where it stands and what would be
// right. What the values mean together, the arithmetic of RFC 7597, belongs to
// reconcile/softwire; whether they fit the machine belongs to reconcile. Both
// report through [Config.Problem].
package schema

import "net/netip"

// A Config is the mape: section with its defaults filled in.
type Config struct {
	// Where the softwire comes from: built-in rules, own rules or values
	// that someone else calculated. Exactly one is set.
	Provider string     // "auto", "ocn", "v6plus", "biglobe" or "nuro"; "" with Rules or Softwire
	BR       netip.Addr // with Rules: the border relay of those that name none
	Rules    []Rule
	Softwire *Softwire

	WAN         string       // "" is the interface with the IPv6 default route
	LAN         []string     // nil is every one that serves a private network; empty is none
	Prefix      netip.Prefix // invalid is what the WAN has; an address is a /128
	Tunnel      string
	MTU         int    // 0 is the WAN's minus 40
	InterfaceID string // "map-03" or "rfc7597"; "" is the provider's, rfc7597 for own rules
	Backend     string // "auto", "netplan" or "networkd"

	// Warnings are what the section says that is legal but hardly meant.
	Warnings Problems

	source *source
}

// A Rule is a basic mapping rule (RFC 7597, section 5.2).
type Rule struct {
	IPv6, IPv4 netip.Prefix
	EABits     int
	PSIDOffset int
	PSID       *int // nil is part of the EA bits; else provisioned beside them (RFC 7597, example 5)
	PSIDLen    int  // with PSID only
	BR         netip.Addr
}

// A Softwire is the outcome of a calculation made elsewhere.
type Softwire struct {
	CE, BR     netip.Addr
	IPv4       netip.Prefix // an address is a /32
	PSID       int
	PSIDLen    int // 0 is an address that is not shared
	PSIDOffset int
}

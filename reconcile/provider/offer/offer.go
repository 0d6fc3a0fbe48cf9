// Package offer is what a line offers its customer: its ways to IPv4, whichever protocol told of them.
package offer

import (
	"fmt"
	"net/netip"
	"regexp"

	"mape-netplan/reconcile/softwire"
)

// A Mechanism is one way to IPv4 with all that the line said of it. Which fields it has depends on the mode.
type Mechanism struct {
	Mode softwire.Mode
	// Rules and their interface identifier are those of MAP. MAP-E's have their border relay each.
	Rules       []softwire.Rule
	InterfaceID softwire.InterfaceID
	// DMR is the default mapping rule of MAP-T.
	DMR netip.Prefix
	// Mesh is set if customers send to each other directly, and not through the border relay.
	Mesh bool
	// FarEnd is the address or the name of the lwAFTR, the AFTR or the border relay of a fixed IPv4 address.
	FarEnd string
	// CE is the address of this end for a fixed IPv4 address; Prefix is what holds it for lw4o6.
	CE     netip.Addr
	Prefix netip.Prefix
	// IPv4 is the address of lw4o6 as a /32, or the fixed address or block.
	IPv4 netip.Prefix
	// PSID is right-aligned; without a length the address of lw4o6 is not shared.
	PSID                uint16
	PSIDLen, PSIDOffset int
}

// name is a name of DNS, with characters of host names alone: others control a terminal, or are those of an address.
var name = regexp.MustCompile(`^[0-9A-Za-z_]([0-9A-Za-z_-]{0,62})(\.[0-9A-Za-z_]([0-9A-Za-z_-]{0,62}))*$`)

// CheckName reports why text cannot be the name of a host, of one label or more.
func CheckName(text string) error {
	if len(text) > 253 || !name.MatchString(text) {
		return fmt.Errorf("%.120q is not the name of a host", text)
	}
	return nil
}

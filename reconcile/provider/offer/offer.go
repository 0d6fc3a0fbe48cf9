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
	// Rules and their interface identifier are those of MAP.
	Rules       []softwire.Rule
	InterfaceID softwire.InterfaceID
	// Mesh is set if customers send to each other directly, and not through the border relay.
	Mesh bool
	// FarEnd is the address or the name of the AFTR, of the lwAFTR or of a fixed address's border relay.
	FarEnd string
	// Binding is that of lw4o6, and Fixed a fixed IPv4 address or block, both without their far end.
	Binding softwire.Binding
	Fixed   softwire.Fixed
}

// name is a name of DNS, with characters of host names alone: others control a terminal, or are those of an address.
var name = regexp.MustCompile(`^[0-9A-Za-z_][0-9A-Za-z_-]{0,62}(\.[0-9A-Za-z_][0-9A-Za-z_-]{0,62})*$`)

// CheckName reports why text cannot be the name of a host, of one label or more.
func CheckName(text string) error {
	if len(text) > 253 || !name.MatchString(text) {
		return fmt.Errorf("%.120q is not the name of a host", text)
	}
	return nil
}

// standIn takes the place of a far end that has a name.
var standIn = netip.MustParseAddr("2001:db8::1")

// Check reports everything that is wrong with the mechanism and can be told without a line, joined.
func (m Mechanism) Check() error {
	far, err := netip.ParseAddr(m.FarEnd)
	if err != nil && m.FarEnd != "" {
		if err := CheckName(m.FarEnd); err != nil {
			return err
		}
		far = standIn
	}
	switch m.Mode {
	case softwire.DSLite:
		_, err := softwire.Lite(standIn.Next(), far)
		return err
	case softwire.LW4o6:
		m.Binding.LwAFTR = far
		return m.Binding.Check()
	case softwire.IPIP:
		m.Fixed.BR = far
		return m.Fixed.Check()
	}
	return softwire.CheckRules(m.Rules)
}

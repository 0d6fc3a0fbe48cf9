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
	// FarEnd is the address or the name of the AFTR or the lwAFTR.
	FarEnd string
	// Binding is that of lw4o6, without the lwAFTR.
	Binding softwire.Binding
	// Fixed is a fixed IPv4 address or block.
	Fixed softwire.Fixed
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

// standIn takes the place of an address that is not known yet.
var standIn = netip.MustParseAddr("2001:db8::1")

// CheckFarEnd reports why text cannot be the address or the name of a far end.
func CheckFarEnd(text string) error {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return CheckName(text)
	}
	_, err = softwire.Lite(standIn, a)
	return err
}

// CheckBinding reports why the binding of lw4o6 cannot be used with its far end.
func (m Mechanism) CheckBinding() (err error) {
	b := m.Binding
	if b.LwAFTR, err = netip.ParseAddr(m.FarEnd); err != nil {
		if err := CheckName(m.FarEnd); err != nil {
			return err
		}
		b.LwAFTR = standIn
	}
	return b.Check()
}

package softwire

import (
	"errors"
	"net/netip"
)

// B4 is the address of every customer's end of a DS-Lite tunnel, by which the gateway itself can speak over it. The AFTR has
// 192.0.0.1 (RFC 6333 section 5.7).
var B4 = netip.MustParsePrefix("192.0.0.2/29")

// Lite is the softwire of a DS-Lite line (RFC 6333): ce is any stable address of the line, by which the AFTR, which
// translates, tells the customer.
func Lite(ce, aftr netip.Addr) (Softwire, error) {
	if err := errors.Join(checkEndpoint("ce", ce), checkEndpoint("aftr", aftr)); err != nil {
		return Softwire{}, err
	}
	s := Softwire{Mode: DSLite, Carrier: Tunnel{ce, aftr}, Inner: B4}
	if err := s.check(); err != nil {
		return Softwire{}, err
	}
	return s, nil
}

package softwire

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// InterfaceID is the layout of the 64-bit interface identifier of a CE address.
type InterfaceID uint8

const (
	// RFC7597 is the layout of RFC 7597 section 6: two zero bytes, the IPv4 address, the PSID.
	RFC7597 InterfaceID = iota
	// MAP03 is the layout of draft-ietf-softwire-map-03 section 6: one zero byte, the IPv4 address, the PSID,
	// one zero byte. Every Japanese provider's border relay expects it.
	MAP03
)

var interfaceIDs = [...]string{RFC7597: "rfc7597", MAP03: "map-03"}

// ParseInterfaceID returns the layout called "rfc7597" or "map-03".
func ParseInterfaceID(s string) (InterfaceID, error) {
	for id, name := range interfaceIDs {
		if s == name {
			return InterfaceID(id), nil
		}
	}
	return 0, fmt.Errorf("interface identifier %q is unknown: it must be %q or %q", s, MAP03, RFC7597)
}

func (id InterfaceID) String() string {
	if int(id) < len(interfaceIDs) {
		return interfaceIDs[id]
	}
	return fmt.Sprintf("InterfaceID(%d)", uint8(id))
}

// MarshalText is the inverse of UnmarshalText.
func (id InterfaceID) MarshalText() ([]byte, error) {
	if _, err := ParseInterfaceID(id.String()); err != nil {
		return nil, err
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads a layout as ParseInterfaceID does.
func (id *InterfaceID) UnmarshalText(text []byte) error {
	parsed, err := ParseInterfaceID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}

// address is the CE address in the first subnet of endUser (RFC 7597 section 5.2: the MAP subnet identifier is 0). ipv4 is
// right-padded and psid left-padded with zeros, so an IPv4 prefix or an unshared address has PSID 0 (RFC 7597 section 6).
// Where endUser is longer than 64 bits, it overwrites the first bits of the interface identifier (ibid.).
func (id InterfaceID) address(endUser netip.Prefix, ipv4 uint32, psid uint16) netip.Addr {
	low := uint64(ipv4)<<16 | uint64(psid)
	if id == MAP03 {
		low <<= 8
	}
	b := endUser.Masked().Addr().As16()
	low = low&(^uint64(0)>>max(endUser.Bits()-64, 0)) | binary.BigEndian.Uint64(b[8:])
	binary.BigEndian.PutUint64(b[8:], low)
	return netip.AddrFrom16(b)
}

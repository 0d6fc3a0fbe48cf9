package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

var text = map[string]any{"type": "string"}

// address is an IPv6 address of one end of the tunnel.
func address(dst *netip.Addr) value {
	return scalar[netip.Addr]{Kind: Kind{"an IPv6 address", "IPv6 address", "IPv6 アドレス", text}, dst: dst,
		parse: func(s string) (netip.Addr, error) { return parseAddr(s, 128) }}
}

// serverName is what a name of DNS looks like here: it has a dot inside.
const serverName = `[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]{0,61}[0-9A-Za-z])?)+\.?`

// farEnd is the provider's end of the tunnel: an IPv6 address, or a name.
func farEnd(dst *string) value {
	v := form(dst, "a name or an IPv6 address", "name or IPv6 address", "名前か IPv6 アドレス", "^(?i:"+serverName+")$").(scalar[string])
	v.Schema, v.parse = text, orAddress(v.parse)
	return v
}

func orAddress(name func(string) (string, error)) func(string) (string, error) {
	return func(s string) (string, error) {
		if _, err := netip.ParseAddr(s); err != nil {
			return name(s)
		}
		a, err := parseAddr(s, 128)
		return a.String(), err
	}
}

// interfaceID is the lower half of an IPv6 address, with or without the "::" before it.
func interfaceID(dst *netip.Addr) value {
	kind := Kind{"the lower half of an IPv6 address", "lower half of an IPv6 address", "IPv6 アドレスの下位半分", text}
	return scalar[netip.Addr]{Kind: kind, dst: dst, parse: func(s string) (netip.Addr, error) {
		if !strings.Contains(s, "::") {
			s = "::" + s
		}
		a, err := netip.ParseAddr(s)
		if high := netip.PrefixFrom(a, 64); err != nil || !a.Is6() || a.Zone() != "" || a.IsUnspecified() || high.Masked().Addr() != netip.IPv6Unspecified() {
			return a, errMalformed
		}
		return a, nil
	}}
}

// prefix is that of a rule, which has no bits set after its length.
func prefix(dst *netip.Prefix, family string, bits int) value {
	kind := Kind{"an " + family + " prefix", family + " prefix", family + " プレフィックス", text}
	return scalar[netip.Prefix]{Kind: kind, dst: dst, parse: func(s string) (netip.Prefix, error) { return parsePrefix(s, bits) }}
}

// sharedAddress is the IPv4 address of a softwire, or the prefix that one has
// to itself.
func sharedAddress(dst *netip.Prefix) value {
	kind := Kind{"an IPv4 address or prefix", "IPv4 address or prefix", "IPv4 アドレスかプレフィックス", text}
	return scalar[netip.Prefix]{Kind: kind, dst: dst, parse: func(s string) (netip.Prefix, error) {
		if strings.Contains(s, "/") {
			return parsePrefix(s, 32)
		}
		a, err := parseAddr(s, 32)
		return netip.PrefixFrom(a, 32), err
	}}
}

// linePrefix is the prefix of the line, or an address in it.
func linePrefix(dst *netip.Prefix) value {
	kind := Kind{"auto or " + thePrefix, "`auto`, IPv6 prefix or address", "`auto`、IPv6 プレフィックスかアドレス", text}
	return scalar[netip.Prefix]{Kind: kind, dst: dst, parse: parseLinePrefix}
}

const thePrefix = "the IPv6 prefix of the line"

// ParsePrefix reads the prefix of a line as the section writes it, for command
// lines that replace it: "auto", which is the invalid Prefix, a prefix or an
// address.
func ParsePrefix(s string) (netip.Prefix, error) {
	prefix, err := parseLinePrefix(s)
	if err != nil {
		err = fmt.Errorf("must be auto or %s such as 2001:db8:12c0:f200::/56, not %s (%w)", thePrefix, quote(s), err)
	}
	return prefix, err
}

// parseLinePrefix drops the bits after the length, so that what ip addr prints
// can be pasted.
func parseLinePrefix(s string) (netip.Prefix, error) {
	if s == "auto" {
		return netip.Prefix{}, nil
	}
	head, _, hasLength := strings.Cut(s, "/")
	a, err := parseAddr(head, 128)
	if err != nil || !hasLength {
		return netip.PrefixFrom(a, 128), err
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, errors.New("the length must be from 0 to 128")
	}
	return p.Masked(), nil
}

// parseAddr reads an address of one machine, of the family with so many bits.
func parseAddr(s string, bits int) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Unmap().BitLen() != bits:
		return a, errMalformed
	case a.Zone() != "":
		return a, errors.New("without an interface")
	case !a.IsGlobalUnicast():
		return a, errors.New(special(a))
	}
	return a, nil
}

func special(a netip.Addr) string {
	switch {
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address, not reachable from outside"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	}
	return "a broadcast address"
}

// parsePrefix takes 0.0.0.0/4, too: the EA bits of a rule can have most or all
// of the address (RFC 7597, section 5.2).
func parsePrefix(s string, bits int) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	switch a := p.Addr(); {
	case err != nil || a.Unmap().BitLen() != bits:
		return p, errMalformed
	case p != p.Masked() && bits == 32:
		return p, fmt.Errorf("bits are set after its length; write %s, or %s/32 for this address", p.Masked(), a)
	case p != p.Masked():
		return p, fmt.Errorf("bits are set after its length; write %s, or correct the length", p.Masked())
	case a.IsUnspecified() && (bits == 128 || p.Bits() >= 8):
		return p, errors.New("these addresses are reserved")
	case !a.IsGlobalUnicast() && !a.IsUnspecified():
		return p, errors.New(special(a))
	}
	return p, nil
}

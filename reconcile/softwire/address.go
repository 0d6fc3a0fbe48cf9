package softwire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
)

// high is the first 64 bits of an IPv6 address: all of MAP but the interface identifier.
func high(a netip.Addr) uint64 {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:8])
}

// highMask has the first n of 64 bits set.
func highMask(n int) uint64 { return ^(^uint64(0) >> n) }

func prefixOf(high uint64, length int) netip.Prefix {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], high&highMask(min(length, 64)))
	return netip.PrefixFrom(netip.AddrFrom16(b), length)
}

func ipv4Bits(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

func ipv4Addr(v uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

// CommonBits is the number of leading bits, at most 64, in which a and b agree.
func CommonBits(a, b netip.Addr) int { return bits.LeadingZeros64(high(a) ^ high(b)) }

// kind names why a cannot be the source or destination of tunnel packets; "" if it can.
func kind(a netip.Addr) string {
	switch {
	case a.Is4():
		return "an IPv4 address"
	case a.Is4In6():
		return "an IPv4-mapped address"
	case a.IsUnspecified():
		return "the unspecified address"
	case a.IsLoopback():
		return "a loopback address"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	case a.Zone() != "":
		return "bound to one interface by its zone"
	}
	return ""
}

// checkEndpoint reports why a cannot be one end of the tunnel. Unique local addresses can: a test bed may use them.
func checkEndpoint(name string, a netip.Addr) error {
	if !a.IsValid() {
		return fmt.Errorf("%s is missing: it must be an IPv6 address such as 2001:db8:ffff::1", name)
	}
	if k := kind(a); k != "" {
		return fmt.Errorf("%s %v is %s: it must be a unicast IPv6 address that the line routes, "+
			"such as 2001:db8:ffff::1", name, a, k)
	}
	return nil
}

// checkGlobal reports why p cannot be the prefix of a provider's line, or of a rule. name is what the message calls it.
func checkGlobal(name string, p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("%s is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:12:3400::/56", name)
	}
	k := kind(p.Addr())
	if k == "" && p.Addr().IsPrivate() {
		k = "a unique local address, which is for LANs only"
	}
	if k != "" {
		return fmt.Errorf("%s %v must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: %v is %s",
			name, p, p.Addr(), k)
	}
	return nil
}

// reserved are addresses that no host has: of this network (RFC 791), loopback, link-local, multicast, reserved and broadcast.
var reserved = prefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")

// private are addresses that are unique only within a site or a provider (RFC 1918, RFC 6598).
var private = prefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Private reports whether p is private, so that no host on the internet reaches it.
func Private(p netip.Prefix) bool { return within(p, private) }

func within(p netip.Prefix, all []netip.Prefix) bool {
	return slices.ContainsFunc(all, func(a netip.Prefix) bool { return a.Bits() <= p.Bits() && a.Contains(p.Addr()) })
}

// checkIPv4 refuses a prefix inside the reserved ones. A rule's prefix may have some within: its EA bits choose the address,
// which Softwire.check looks at.
func checkIPv4(p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("ipv4 is missing or not a prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address")
	}
	if !p.Addr().Is4() {
		return fmt.Errorf("ipv4 %v is an IPv6 prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address", p)
	}
	if within(p, reserved) {
		return fmt.Errorf("ipv4 %v must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address", p)
	}
	return nil
}

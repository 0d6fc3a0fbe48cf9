package softwire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
)

// field is the number that the length bits of a after its first from make.
func field(a netip.Addr, from, length int) (v uint64) {
	b := a.As16()
	for i := from; i < from+length; i++ {
		v = v<<1 | uint64(b[i/8]>>(7-i%8)&1)
	}
	return v
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

// CommonBits is the number of leading bits in which a and b agree.
func CommonBits(a, b netip.Addr) int {
	x, y := a.As16(), b.As16()
	for i := range x {
		if differ := x[i] ^ y[i]; differ != 0 {
			return 8*i + bits.LeadingZeros8(differ)
		}
	}
	return 128
}

// cut is the prefix of that length that p is in, or p if it is shorter.
func cut(p netip.Prefix, length int) netip.Prefix {
	return netip.PrefixFrom(p.Addr(), min(p.Bits(), length)).Masked()
}

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

// reserved are addresses that no host on the internet has (RFC 6890), and what they are for.
var reserved = []struct {
	block netip.Prefix
	use   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved, and broadcast"},
	{netip.MustParsePrefix("224.0.0.0/3"), "multicast, and reserved"},
}

// special tells where p has reserved addresses, as in "in 127.0.0.0/8 (loopback)", and whether all of it is; "" where it has
// none.
func special(p netip.Prefix) (where string, all bool) {
	for _, r := range reserved {
		if inside(p, r.block) {
			return fmt.Sprintf("in %v (%s)", r.block, r.use), true
		}
		if where == "" && r.block.Overlaps(p) {
			where = fmt.Sprintf("partly in %v (%s)", r.block, r.use)
		}
	}
	return where, false
}

// private are addresses that are unique only within a site or a provider (RFC 1918, RFC 6598).
var private = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}

// Private reports whether p is private, so that no host on the internet reaches it.
func Private(p netip.Prefix) bool {
	return slices.ContainsFunc(private, func(block netip.Prefix) bool { return inside(p, block) })
}

func inside(p, block netip.Prefix) bool { return block.Bits() <= p.Bits() && block.Contains(p.Addr()) }

// checkIPv4 refuses a prefix of reserved addresses only. A rule's may have some: its EA bits choose the address, which
// Softwire.check looks at.
func checkIPv4(p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("ipv4 is missing or not a prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address")
	}
	if !p.Addr().Is4() {
		return fmt.Errorf("ipv4 %v is an IPv6 prefix: it must be an IPv4 prefix such as 192.0.2.0/24, or an address", p)
	}
	if where, all := special(p); all {
		return notUnicast(p, where)
	}
	return nil
}

func notUnicast(p netip.Prefix, where string) error {
	return fmt.Errorf("ipv4 %v is %s: it must be a unicast IPv4 prefix such as 192.0.2.0/24, or an address", p, where)
}

package softwire

import (
	"fmt"
	"net/netip"
	"slices"
)

// CheckDMR reports why p cannot be a default mapping rule (RFC 7599 section 5.1), which is an IPv6 prefix with all IPv4
// addresses in it (RFC 6052 section 2.2).
func CheckDMR(p netip.Prefix) error {
	if !p.IsValid() {
		return fmt.Errorf("dmr is missing or not a prefix: it must be an IPv6 prefix such as 2001:db8:ffff::/64")
	}
	switch k := kind(p.Addr()); {
	case k != "":
		return fmt.Errorf("dmr %v must be an IPv6 prefix of the provider, such as 2001:db8:ffff::/64: %v is %s", p, p.Addr(), k)
	case !slices.Contains([]int{32, 40, 48, 56, 64, 96}, p.Bits()):
		return fmt.Errorf("dmr %v must have 32, 40, 48, 56, 64 or 96 bits (RFC 6052 section 2.2)", p)
	case p != p.Masked():
		return fmt.Errorf("dmr %v has bits set after its first %d: write %v, or correct the length", p, p.Bits(), p.Masked())
	case field(p.Addr(), 64, 8) != 0:
		return fmt.Errorf("dmr %v must have zeros in bits 64 to 71 (RFC 6052 section 2.2)", p)
	}
	return nil
}

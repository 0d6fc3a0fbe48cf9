package softwire

import "net/netip"

// Mode is how IPv4 goes over the line, by the name that people use.
type Mode string

const (
	MAPE   Mode = "map-e"   // RFC 7597
	LW4o6  Mode = "lw4o6"   // RFC 7596
	IPIP   Mode = "ipip"    // a fixed IPv4 address or block
	DSLite Mode = "ds-lite" // RFC 6333
	MAPT   Mode = "map-t"   // RFC 7599
)

// A Carrier takes IPv4 packets over the line: a Tunnel or a Translator.
type Carrier interface {
	// CE is the address of this end, in the line's prefix.
	CE() netip.Addr
	// FarEnd is the other end: an address as a /128, or the prefix that has all IPv4 addresses in it.
	FarEnd() netip.Prefix
	// Overhead is how many bytes an IPv4 packet grows by at most.
	Overhead() int
}

// A Tunnel puts IPv4 packets into IPv6 packets to one address: a border relay, an lwAFTR or an AFTR.
type Tunnel struct{ Local, Remote netip.Addr }

func (t Tunnel) CE() netip.Addr       { return t.Local }
func (t Tunnel) FarEnd() netip.Prefix { return netip.PrefixFrom(t.Remote, 128) }
func (Tunnel) Overhead() int          { return 40 } // an IPv6 header

// A Translator makes IPv6 packets of IPv4 packets. Their destinations are in the default mapping rule's prefix (RFC 7599
// section 5.1).
type Translator struct {
	Local netip.Addr
	DMR   netip.Prefix
}

func (t Translator) CE() netip.Addr       { return t.Local }
func (t Translator) FarEnd() netip.Prefix { return t.DMR }
func (Translator) Overhead() int          { return 20 + 8 } // an IPv6 header for an IPv4 one, and that of a fragment

// Known reports whether there is a softwire.
func (s Softwire) Known() bool { return s.Carrier != nil }

// Unforwardable is why ports cannot be forwarded; "" if they can.
func (s Softwire) Unforwardable() string {
	switch {
	case !s.Known() || s.NAT:
		return ""
	case s.Mode == DSLite:
		return "the provider translates (DS-Lite): ports cannot be forwarded"
	}
	return "the block is not translated: its hosts have addresses of their own, which \"inbound: accept\" opens to the internet"
}

// CE is the address of this end; invalid where there is no softwire.
func (s Softwire) CE() netip.Addr {
	if s.Carrier == nil {
		return netip.Addr{}
	}
	return s.Carrier.CE()
}

// BR is the address of the far end, of a prefix the first; invalid where there is no softwire.
func (s Softwire) BR() netip.Addr {
	if s.Carrier == nil {
		return netip.Addr{}
	}
	return s.Carrier.FarEnd().Addr()
}

// Overhead is that of the carrier; without one it is a tunnel's.
func (s Softwire) Overhead() int {
	if s.Carrier == nil {
		return Tunnel{}.Overhead()
	}
	return s.Carrier.Overhead()
}

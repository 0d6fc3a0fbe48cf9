package lab

import "net/netip"

// A Mode is what kind of line it is: what the far end does, and with that, what a CE may send.
type Mode int

// The modes. The far end of MAP-E is the border relay.
const (
	MAPE   Mode = iota
	LW4o6       // lwAFTR (RFC 7596), whose binding table has one entry
	IPIP        // a fixed address, or a block of them
	DSLite      // AFTR (RFC 6333): it translates, so that the LAN's own addresses are right and the CE has none
	MAPT        // border relay that translates to IPv6 (RFC 7599): no packet is inside of another
)

// modes has what differs by a number: the longest IPv4 packet on a line of 1500 bytes. A fragment grows by 28 bytes
// where it is translated.
var modes = [...]struct {
	name string
	mtu  int
}{MAPE: {"map-e", 1460}, LW4o6: {"lw4o6", 1460}, IPIP: {"ipip", 1460}, DSLite: {"ds-lite", 1460}, MAPT: {"map-t", 1472}}

func (m Mode) String() string { return modes[m].name }

// B4 is the address of a DS-Lite CE that all of them have (RFC 6333 §5.7).
var B4 = netip.MustParseAddr("192.0.0.2")

// serviceContinuity is the range it is from, which is on no internet.
var serviceContinuity = netip.MustParsePrefix("192.0.0.0/29")

// owns reports whether an IPv4 address is the CE's, or one behind it.
func (j Judge) owns(a netip.Addr) bool {
	return j.IPv4.Contains(a) || j.Mode == DSLite && a == B4
}

// abroad reports whether an IPv4 address can be one of the internet.
func abroad(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !serviceContinuity.Contains(a)
}

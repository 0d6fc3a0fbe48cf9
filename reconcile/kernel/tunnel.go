package kernel

import (
	"net/netip"
	"strconv"
)

// A Tunnel has the settings of an ipip6 link. Netplan's file, networkd's files and the kernel's link are all made from
// this one value.
type Tunnel struct {
	Link          string // interface name
	Local, Remote netip.Addr
	HopLimit      int          // of the outer header; TTL to netplan and networkd
	EncapLimit    int          // RFC 2473, section 4.1.1; -1 is no limit
	MTU           int          // bytes of an inner packet; 0 if unknown
	Inner         netip.Prefix // IPv4 address on the link, with its length; invalid for none
}

// EncapLimitText is the encapsulation limit in the words of networkd and of "ip -d link show".
func (t Tunnel) EncapLimitText() string {
	if t.EncapLimit < 0 {
		return "none"
	}
	return strconv.Itoa(t.EncapLimit)
}

package reconcile

import "net/netip"

func (l Link) inet4() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range l.Addresses {
		if a.Prefix.Addr().Is4() {
			all = append(all, a.Prefix)
		}
	}
	return all
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

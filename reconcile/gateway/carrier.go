package gateway

import (
	"fmt"
	"net/netip"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// tunnelOf is where the settings of a section become those of the tunnel, as the carrier needs them: here alone the
// carriers differ.
func tunnelOf(c *schema.Config, s softwire.Softwire, mtu int) kernel.Tunnel {
	t := kernel.Tunnel{
		Link: c.Tunnel, Local: s.CE(), MTU: mtu,
		HopLimit:   64, // networkd's own default
		EncapLimit: -1, // border relays in Japan drop packets with one
	}
	if !s.NAT {
		// Packets of the gateway itself need a source.
		t.Inner = s.Inner
		if s.Mode == softwire.IPIP {
			t.Inner = netip.PrefixFrom(s.Inner.Addr(), 32)
		}
	}
	switch carrier := s.Carrier.(type) {
	case softwire.Tunnel:
		t.Remote = carrier.Remote
	case softwire.Translator:
		t.Remote = kernel.Discard // Translated packets leave by the WAN.
	}
	return t
}

// translates reports whether packets are translated instead of put into others.
func (g *Gateway) translates() bool {
	_, ok := g.Softwire.Carrier.(softwire.Translator)
	return ok
}

// untranslatable is why a softwire cannot be translated on this machine; nil if it can, or is not to be.
func (g *Gateway) untranslatable(f facts.Facts) error {
	if g.translates() && f.Unfiltered != "" {
		return fmt.Errorf("MAP-T needs filters with programs (clsact and cls_bpf), and %s cannot have one: %s", g.Tunnel.Link, f.Unfiltered)
	}
	return nil
}

package watch

import "mape-netplan/reconcile/facts"

// bystanders are the links whose addresses a gateway does not depend on: no file
// configures them, no default route leaves by them, and neither the section nor
// anything that was made names them. A container engine's bridge is one, and the
// loopback interface, on which a routing daemon may have thousands.
func (w *Watch) bystanders(f facts.Facts) map[uint32]bool {
	named := map[string]bool{}
	if c := w.section; c != nil {
		named[c.WAN], named[c.Tunnel] = true, true
		for _, name := range c.LAN {
			named[name] = true
		}
	}
	for _, r := range w.want {
		named[r.Traits().Link] = true
	}
	all := map[uint32]bool{}
	for _, l := range f.Links {
		_, defined := f.DefinitionOf(l.Name)
		if !defined && l.NetworkFile == "" && l.Default4 == nil && l.Default6 == nil && !named[l.Name] {
			all[uint32(l.Index)] = true
		}
	}
	return all
}

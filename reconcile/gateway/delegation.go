package gateway

import (
	"net/netip"
	"slices"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// Asking lists what has networkd ask for the prefix that a section wants
// delegated. It is part of what Compile lists, and is needed before that can
// be: without the prefix there is no gateway to compile.
func Asking(c *schema.Config, l line.Line, f facts.Facts) ([]engine.Resource, error) {
	if c.WANPrefix != "pd" {
		return nil, nil
	}
	if l.NoWAN != nil {
		return nil, l.NoWAN
	}
	wan := l.WAN
	p := Persist{Link: wan.Name, Ask: true}
	// The file of an earlier run stays the same until the line is known.
	if i := slices.IndexFunc(f.Owned.Addresses, func(a facts.OwnedAddress) bool { return a.Link == wan.Name }); i >= 0 {
		p.CE = netip.PrefixFrom(f.Owned.Addresses[i].Prefix.Addr(), 128)
	}
	if err := p.find(usesNetplan(c, f), f); err != nil {
		return nil, err
	}
	p.identify(f)
	path, text := p.DropIn()
	if text == "" {
		return nil, nil
	}
	all := []engine.Resource{resource.File{Path: path, Mode: PublicMode, Data: text}}
	if f.Networkd {
		all = append(all, p.Managed(path, text))
	}
	return all, nil
}

// identify decides by which DUID a link asks, once: a server that has one prefix
// gives it to nobody else while a lease lasts. So the DUID stays by which
// networkd has come to a delegation without us, as it does where the router
// advertisement has the M flag: up to version 252 networkd does not release
// what it has when it takes another, and the server (measured: Kea) answers
// NoPrefixAvail to that one until the lease ends. The file that asks is the
// memory of this.
//
// A file that is lost, or was taken back a moment ago, is no reason to think
// that what is there came without us: networkd's client has our DUID then.
func (p *Persist) identify(f facts.Facts) {
	if !p.Ask {
		return
	}
	file, _ := p.DropIn()
	if i := slices.IndexFunc(f.Owned.Requests, func(r facts.Request) bool { return r.File == file }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
		return
	}
	link, _ := f.Link(p.Link)
	if link.DUIDType != "" && cameBy(f, p.Link) {
		p.KeepsDUID = link.DUIDType != networkd.LinkLayerDUID
		return
	}
	// The link may have had another .network file when ours was made. Without
	// that, and where the DUID is not known, ours is the safer one: should it be
	// the wrong one, the prefix comes when the lease ends, while to a DUID of
	// another type an NTT server would never answer, and the file that we write
	// now would keep it for good.
	if i := slices.IndexFunc(f.Owned.Requests, func(r facts.Request) bool { return len(f.ConfiguredBy(r.File)) == 0 }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
	}
}

// cameBy says whether a delegation came by a link. One of which that is not
// known did not where another line is there that it may have come by.
func cameBy(f facts.Facts, link string) bool {
	another := slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return l.Name != link && l.Default6 != nil })
	return slices.ContainsFunc(f.Delegations, func(d networkd.Delegation) bool { return d.Link == link || d.Link == "" && !another })
}

package gateway

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// A Persist is what a file has to say about an existing link, and which file.
type Persist struct {
	Link string
	CE   netip.Prefix // to be added; invalid for none
	NoRA bool         // router advertisements are to be refused
	Ask  bool         // DHCPv6 is to be asked for a prefix
	// KeepsDUID says that it is asked by the DUID that networkd has anyway.
	KeepsDUID bool
	// Definition is netplan's for the link. Where that is nil, File is
	// networkd's .network file. Where both are missing nothing persists.
	Definition *netplan.Definition
	File       string
}

// persist finds the file for each link that needs one.
func (g *Gateway) persist(f facts.Facts) error {
	var all []Persist
	if wan := (Persist{Link: g.WAN.Name, Ask: g.Ask}); !g.Foreign || g.Ask {
		if !g.Foreign {
			wan.CE = netip.PrefixFrom(g.Softwire.CE, 128)
		}
		all = append(all, wan)
	}
	for _, name := range g.LAN {
		all = append(all, Persist{Link: name, NoRA: true})
	}
	for _, p := range all {
		if err := p.find(g.Netplan, f); err != nil {
			return err
		}
		p.identify(f)
		if p.Definition == nil && p.File == "" {
			g.Warnings = append(g.Warnings, fmt.Sprintf("neither netplan nor networkd configures %s, so no file can say that it %s", p.Link, p.what()))
			continue
		}
		g.Persist = append(g.Persist, p)
	}
	return nil
}

// what says what the link shall do.
func (p Persist) what() string {
	var all []string
	if p.NoRA {
		all = append(all, "refuses router advertisements")
	}
	if p.Ask {
		all = append(all, "asks for a prefix")
	}
	if p.CE.IsValid() {
		all = append(all, fmt.Sprintf("has the address %s", p.CE))
	}
	return strings.Join(all, " and ")
}

// find finds the file. netplan says that the machine has it and it is used.
func (p *Persist) find(byNetplan bool, f facts.Facts) error {
	d, defined := f.DefinitionOf(p.Link)
	l, _ := f.Link(p.Link)
	switch {
	case byNetplan && defined:
		if len(d.Interfaces) > 1 {
			return fmt.Errorf("netplan's definition %s configures %s together, and what %s needs must not reach the others; give %s a definition of its own",
				d.ID, strings.Join(d.Interfaces, ", "), p.Link, p.Link)
		}
		p.Definition = &d
	case l.NetworkFile != "":
		p.File = l.NetworkFile
		for _, other := range f.Links {
			if other.NetworkFile == l.NetworkFile && other.Name != l.Name {
				return fmt.Errorf("%s configures %s and %s together, and what one needs must not reach the other; give %s a .network file of its own",
					l.NetworkFile, l.Name, other.Name, l.Name)
			}
		}
	case byNetplan && !f.Live:
		p.Definition = &netplan.Definition{Section: "ethernets", ID: p.Link, Interfaces: []string{p.Link}}
	}
	return nil
}

// DropIn is what a drop-in has to say of the link, and for which file; no text
// is none. What netplan has keys for is in its file.
func (p Persist) DropIn() (path, text string) {
	file, link := p.File, networkd.DropIn{Request: p.Ask, KeepsDUID: p.KeepsDUID}
	if p.Definition != nil {
		file = p.Definition.Network()
	} else {
		link.NoRA, link.Address = p.NoRA, p.CE
	}
	if text = networkd.RenderDropIn(link); text == "" || file == "" {
		return "", ""
	}
	return networkd.DropInPath(file), text
}

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

package gateway

import (
	"fmt"
	"net/netip"
	"strings"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
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

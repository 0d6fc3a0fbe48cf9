package gateway

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
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

// A LinkConfig is what a file must configure on an existing link, and which file.
type LinkConfig struct {
	Link    string
	CE      netip.Prefix // to be added; invalid for none
	NoRA    bool         // router advertisements are to be refused
	Request bool         // DHCPv6 is asked for a prefix
	// KeepsDUID: the request goes by the DUID that networkd has anyway.
	KeepsDUID bool
	// Definition is netplan's of the link. If it is nil, File is networkd's .network
	// file of it. Without either, nothing on the link persists.
	Definition *netplan.Definition
	File       string
}

// configureLinks finds the file for each link that needs one.
func (g *Gateway) configureLinks(f facts.Facts) error {
	var all []LinkConfig
	if wan := (LinkConfig{Link: g.WAN.Name, Request: g.RequestsPrefix}); !g.Foreign || g.RequestsPrefix {
		if !g.Foreign {
			wan.CE = netip.PrefixFrom(g.Softwire.CE(), 128)
		}
		all = append(all, wan)
	}
	for _, name := range g.LAN {
		all = append(all, LinkConfig{Link: name, NoRA: true})
	}
	for _, p := range all {
		if err := p.find(g.Netplan, f); err != nil {
			return err
		}
		p.chooseDUID(f)
		if p.Definition == nil && p.File == "" {
			g.Warnings = append(g.Warnings, fmt.Sprintf("neither netplan nor networkd configures %s, so no file can say that it %s", p.Link, p.what()))
			continue
		}
		g.LinkConfigs = append(g.LinkConfigs, p)
	}
	return nil
}

// what is what the link must do, for a warning.
func (p LinkConfig) what() string {
	var all []string
	if p.NoRA {
		all = append(all, "refuses router advertisements")
	}
	if p.Request {
		all = append(all, "asks for a prefix")
	}
	if p.CE.IsValid() {
		all = append(all, fmt.Sprintf("has the address %s", p.CE))
	}
	return strings.Join(all, " and ")
}

// find finds the file. byNetplan: the machine uses netplan.
func (p *LinkConfig) find(byNetplan bool, f facts.Facts) error {
	l, known := f.Link(p.Link)
	if !known {
		l.Name = p.Link
	}
	if byNetplan {
		d, sure := f.DefinitionOf(l.Name)
		if d == nil {
			d, sure = netplan.Of(f.Definitions, l)
		}
		if d != nil {
			if err := p.usable(*d, sure, f); err != nil {
				return err
			}
			// Without the rest of it a part of ours must still be for this interface: under another ID it would be for one of that
			// name. Of another section netplan refuses a part on its own, and of what another
			// file says later that file may win or change what the part matches.
			if d.Section == "ethernets" && d.ID == p.Link && d.Late == "" && !f.ByNM {
				p.Definition = d
			} else {
				p.File = d.Network()
			}
			return nil
		}
	}
	if !f.Live {
		if i := slices.IndexFunc(f.Networks, func(n networkd.Network) bool { is, sure := n.Selects(l); return is || !sure }); i >= 0 {
			l.NetworkFile = f.Networks[i].Path
			if f.Networks[i].Unmanaged {
				return fmt.Errorf("%s has networkd leave %s alone (Unmanaged=yes); give %[2]s a .network file that sorts before it and configures it", l.NetworkFile, p.Link)
			}
			if _, sure := f.Networks[i].Selects(l); !sure {
				return fmt.Errorf("whether %s is for %s depends on more than its name ([Match] with a MAC address, a driver, a host …), which cannot be seen from here; give %[2]s a .network file that sorts before it, with Name=%[2]s alone",
					l.NetworkFile, p.Link)
			}
			if named := strings.Fields(f.Networks[i].Names); !slices.Contains(named, p.Link) || slices.ContainsFunc(named, kernel.IsPattern) {
				return fmt.Errorf("%s is for every interface that matches %q, but only %s may get these settings; give %s a .network file of its own that sorts before it",
					l.NetworkFile, cmp.Or(f.Networks[i].Names, "*"), p.Link, p.Link)
			}
		}
	}
	switch {
	case byNetplan && netplan.Generated(l.NetworkFile): // of a definition that is gone
	case l.NetworkFile != "":
		p.File = l.NetworkFile
		for _, other := range f.Links {
			if other.NetworkFile == l.NetworkFile && other.Name != l.Name {
				return fmt.Errorf("%s configures %s and %s together, but only one may get these settings; give %s a .network file of its own",
					l.NetworkFile, l.Name, other.Name, l.Name)
			}
		}
	case byNetplan && !f.Live:
		p.Definition = &netplan.Definition{Section: "ethernets", ID: p.Link, Interfaces: []string{p.Link}}
	}
	return nil
}

// usable is why settings of one link cannot be added to a definition; nil if they can.
func (p *LinkConfig) usable(d netplan.Definition, sure bool, f facts.Facts) error {
	own := fmt.Sprintf("give %s a definition of its own that sorts before it, such as \"ethernets: {%s: {…}}\", or, below %s, set-name: %s", p.Link, p.Link, d.ID, p.Link)
	switch {
	case !sure:
		return fmt.Errorf("whether netplan's definition %s is for %s depends on hardware that cannot be seen from here (match: by MAC address or driver); %s", d.ID, p.Link, own)
	case !f.Live && d.Match.Names != "" && !slices.Contains(strings.Fields(d.Match.Names), p.Link):
		return fmt.Errorf("netplan's definition %s is for every interface that its match: selects, but only %s may get these settings; %s", d.ID, p.Link, own)
	case len(d.Interfaces) > 1:
		return fmt.Errorf("netplan's definition %s configures %s together, but only %s may get these settings; give %s a definition of its own that sorts before it, or have match: select fewer",
			d.ID, strings.Join(d.Interfaces, ", "), p.Link, p.Link)
	case url.QueryEscape(d.ID) != d.ID:
		return fmt.Errorf("netplan's versions name the file of the definition %s in different ways; rename it to have only letters, digits, dots, dashes and underscores", d.ID)
	}
	return nil
}

// DropIn is the text of the drop-in for the link and its path; both are "" if it
// needs none. What netplan has keys for is in netplan's file instead.
func (p LinkConfig) DropIn() (path, text string) {
	file, link := p.File, networkd.DropIn{Request: p.Request, KeepsDUID: p.KeepsDUID}
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

// PrefixRequest lists what makes networkd ask for the prefix that a section wants
// delegated. Compile lists it too, but cannot before the prefix is there.
func PrefixRequest(c *schema.Config, l line.Line, f facts.Facts) ([]engine.Resource, error) {
	if c.WANPrefix != "pd" {
		return nil, nil
	}
	if l.NoWAN != nil {
		return nil, l.NoWAN
	}
	wan := l.WAN
	p := LinkConfig{Link: wan.Name, Request: true}
	// With the CE address, so that the file of an earlier run does not change until the line is known.
	if i := slices.IndexFunc(f.Owned.Addresses, func(a facts.OwnedAddress) bool { return a.Link == wan.Name }); i >= 0 {
		p.CE = netip.PrefixFrom(f.Owned.Addresses[i].Prefix.Addr(), 128)
	}
	if err := p.find(usesNetplan(c, f), f); err != nil {
		return nil, err
	}
	p.chooseDUID(f)
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

// request has networkd ask for the prefix that a section wants delegated, while the gateway is that of another section.
func (g *Gateway) request(c *schema.Config, l line.Line, f facts.Facts) {
	if c.WANPrefix != "pd" || l.NoWAN != nil {
		return
	}
	i := slices.IndexFunc(g.LinkConfigs, func(p LinkConfig) bool { return p.Link == l.WAN.Name })
	if i < 0 {
		p := LinkConfig{Link: l.WAN.Name}
		if p.find(g.Netplan, f) != nil {
			return // No file could say so; the error of the line is told.
		}
		i, g.LinkConfigs = len(g.LinkConfigs), append(g.LinkConfigs, p)
	}
	g.LinkConfigs[i].Request = true
	g.LinkConfigs[i].chooseDUID(f)
}

// chooseDUID decides once by which DUID a link requests its prefix: a server with one
// prefix leases it to one DUID until the lease ends. A DUID by which networkd has
// obtained a delegation without us is kept. That happens if router advertisements
// have the M flag. Up to version 252 networkd does not release a lease when its DUID
// changes, and the server (measured: Kea) answers NoPrefixAvail to the new DUID until
// the old lease ends. The drop-in with the request remembers the decision.
//
// If that file was lost or reverted a moment ago, the delegation is still by our
// request, and networkd's client still has our DUID.
func (p *LinkConfig) chooseDUID(f facts.Facts) {
	if !p.Request {
		return
	}
	file, _ := p.DropIn()
	if i := slices.IndexFunc(f.Owned.Requests, func(r facts.Request) bool { return r.File == file }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
		return
	}
	link, _ := f.Link(p.Link)
	if link.DUIDType != "" && delegatedOn(f, p.Link) {
		p.KeepsDUID = link.DUIDType != networkd.LinkLayerDUID
		return
	}
	// The drop-in may be for another .network file, which the link had before. Without
	// one, and with the DUID unknown, DUID-LL is the safer choice: if it is wrong, the
	// prefix comes when the other lease ends, but an NTT server never answers a DUID of
	// another type, and the file written now would keep that for good.
	if i := slices.IndexFunc(f.Owned.Requests, func(r facts.Request) bool { return len(f.ConfiguredBy(r.File)) == 0 }); i >= 0 {
		p.KeepsDUID = f.Owned.Requests[i].KeepsDUID
	}
}

// delegatedOn reports whether a prefix has been delegated on a link. One whose link is
// unknown counts unless another link has an IPv6 default route, and so may have it.
func delegatedOn(f facts.Facts, link string) bool {
	another := slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return l.Name != link && l.Default6 != nil })
	return slices.ContainsFunc(f.Delegations, func(d networkd.Delegation) bool { return d.Link == link || d.Link == "" && !another })
}

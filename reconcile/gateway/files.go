package gateway

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// obsolete lists the links and addresses of earlier runs that are not g's. What
// disappears with a tunnel is listed before it: a rollback restores only what was
// listed. A link of another kind by that name is a user's, and so are its settings.
func obsolete(g *Gateway, f facts.Facts) []engine.Resource {
	var all []engine.Resource
	for _, tunnel := range f.Owned.Tunnels {
		if g != nil && tunnel == g.Tunnel.Link {
			continue
		}
		link, _ := f.Link(tunnel)
		// What is on the tunnel of any gateway was on this one. Its values do not matter.
		earlier := &Gateway{Tunnel: kernel.Tunnel{Link: tunnel}}
		earlier.Softwire.Inner = netip.PrefixFrom(netip.IPv4Unspecified(), 32)
		for _, r := range slices.Backward(live(earlier, f, Transition{NoReload: true})) {
			if t := r.Traits(); t.Makes == tunnel || t.Link == tunnel && link.Kind == "ip6tnl" {
				all = append(all, r.(engine.Removable).Absent())
			}
		}
	}
	for _, a := range f.Owned.Inner {
		if g != nil && a.Link == g.Tunnel.Link && a.Prefix != g.Tunnel.Inner {
			all = append(all, resource.Address{Link: a.Link, Prefix: a.Prefix}) // With the tunnel it goes by itself.
		}
	}
	for _, a := range f.Owned.Addresses {
		if g == nil || a.Link != g.WAN.Name || a.Prefix.Addr() != g.Softwire.CE() {
			all = append(all, resource.Address{Link: a.Link, Prefix: a.Prefix})
		}
	}
	return all
}

// The modes of our files. netplan warns of a file of its own that others can read.
const (
	PublicMode fs.FileMode = 0o644
	secretMode fs.FileMode = 0o600
)

// files lists our files, then those of earlier runs, as absent. Of a removal, last has the two that tell a later removal
// what to undo: the sysctl drop-in (the former ip_forward) and the drop-in with the encapsulation limit (the tunnel's name,
// in its path). Nothing changes at once when they go.
func files(g *Gateway, f facts.Facts) (all, last []engine.Resource) {
	memory := []string{sysctld.Path}
	for _, tunnel := range f.Owned.Tunnels {
		memory = append(memory, networkd.EncapLimitPath(tunnel))
	}
	var paths []string
	add := func(path string, mode fs.FileMode, text string) {
		paths = append(paths, path)
		file := resource.File{Path: path}
		if text != "" {
			file.Mode, file.Data = mode, text
		}
		if g == nil && slices.Contains(memory, path) {
			last = append(last, file)
		} else {
			all = append(all, file)
		}
	}
	if g == nil {
		add(sysctld.Path, PublicMode, "")
		add(netplan.Path, secretMode, "")
	} else {
		// First, because it notes the former value.
		add(sysctld.Path, PublicMode, sysctld.Render(g.Tunnel.Link, g.Conntrack.Max, f.IPForward))
		if g.Netplan {
			add(networkd.EncapLimitPath(g.Tunnel.Link), PublicMode, networkd.RenderEncapLimit(g.Tunnel))
			add(netplan.Path, secretMode, g.NetplanText())
		} else {
			add(networkd.NetdevPath, PublicMode, networkd.RenderNetdev(g.Tunnel))
			add(networkd.NetworkPath, PublicMode, networkd.RenderNetwork(g.Tunnel))
		}
		for _, p := range g.LinkConfigs {
			if path, text := p.DropIn(); text != "" {
				add(path, PublicMode, text)
			}
		}
		// Then those of earlier runs, so that the CE address is in a file all the time.
		if !g.Netplan {
			add(netplan.Path, secretMode, "")
		}
	}
	for _, p := range f.Owned.Files {
		if !slices.Contains(paths, p) {
			add(p, PublicMode, "")
		}
	}
	return all, last
}

// Generated lists the settings that netplan's generator must have written for
// networkd; without a gateway those that must be gone.
func Generated(g *Gateway, f facts.Facts) []resource.Setting {
	if g == nil {
		var all []resource.Setting
		for _, tunnel := range f.Owned.Tunnels {
			all = append(all, resource.Setting{File: "10-netplan-" + tunnel + ".netdev", Line: "Name=" + tunnel})
		}
		return all
	}
	if !g.Netplan {
		return nil
	}
	var all []resource.Setting
	netdev, tunnel := networkd.NetdevLines(g.Tunnel)
	for line := range strings.Lines(tunnel + netdev) {
		all = append(all, resource.Setting{File: "10-netplan-" + g.Tunnel.Link + ".netdev", Line: strings.TrimSpace(line)})
	}
	all = append(all, resource.Setting{File: "10-netplan-" + g.Tunnel.Link + ".network", Line: "Scope=link"})
	if line := networkd.AddressLine(g.Tunnel); line != "" {
		all = append(all, resource.Setting{File: "10-netplan-" + g.Tunnel.Link + ".network", Line: strings.TrimSpace(line)})
	}
	for _, p := range g.LinkConfigs {
		if p.Definition == nil {
			continue
		}
		file := p.Definition.Network()
		if p.CE.IsValid() {
			all = append(all, resource.Setting{File: file, Line: "Address=" + p.CE.String()})
		}
		if p.NoRA {
			all = append(all, resource.Setting{File: file, Line: "IPv6AcceptRA=no"})
		}
	}
	return all
}

// managed lists the links that networkd must configure by a file of ours.
func managed(g *Gateway, f facts.Facts) []engine.Resource {
	var all []engine.Resource
	if !g.Netplan {
		all = append(all, resource.Managed{Link: g.Tunnel.Link, File: networkd.NetworkPath,
			Netdev: networkd.NetdevPath, Data: networkd.RenderNetdev(g.Tunnel), Present: true})
	}
	for _, p := range g.LinkConfigs {
		if path, text := p.DropIn(); text != "" {
			all = append(all, p.Managed(path, text))
		}
	}
	return all
}

// released lists the links that networkd must configure without the drop-in of an
// earlier run.
func released(g *Gateway, f facts.Facts) []engine.Resource {
	var all []engine.Resource
	for _, l := range f.Links {
		file := networkd.DropInPath(l.NetworkFile)
		if !slices.Contains(f.Owned.Files, file) {
			continue
		}
		wanted := func(p LinkConfig) bool { path, _ := p.DropIn(); return path == file }
		if g == nil || !slices.ContainsFunc(g.LinkConfigs, wanted) {
			all = append(all, resource.Managed{Link: l.Name, File: file})
		}
	}
	return all
}

// Managed is the link as networkd configures it by the drop-in.
func (p LinkConfig) Managed(path, text string) resource.Managed {
	return resource.Managed{Link: p.Link, File: path, Data: text, Present: true, Asks: p.Request, LinkLayer: p.Request && !p.KeepsDUID}
}

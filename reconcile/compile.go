package reconcile

import (
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"mape-netplan/reconcile/nft"
)

// Compile lists everything that the program may own, in the order in which it
// is to be made, with absent things as absent values. No gateway is a machine
// without any of it: what "remove" wants.
//
// The order keeps the machine safe in between: what is no longer wanted goes
// first, while the files still tell of it; the guard is there before the
// tunnel is, and goes after it.
func Compile(g *Gateway, f Facts) []Resource {
	all := obsolete(g, f)
	table := Table{nft.Table{Name: tableName}}
	if g != nil {
		table = Table{natTable(g)}
		all = append(all, table)
	}
	for _, file := range files(g, f) {
		if g != nil || !isMemory(file.Path) {
			all = append(all, file)
		}
	}
	all = append(all, live(g, f)...)
	all = append(all, flows(g, table, f))
	if g == nil {
		// What else has to be undone is known from these files only.
		for _, file := range files(g, f) {
			if isMemory(file.Path) {
				all = append(all, file)
			}
		}
		all = append(all, table)
	}
	if f.Discovered != nil && (g == nil || g.Provider != discover) {
		all = append(all, Cache{})
	}
	if !f.Live {
		all = slices.DeleteFunc(all, isLive)
	}
	return all
}

// isLive says whether a resource is of a running machine.
func isLive(r Resource) bool {
	switch r.(type) {
	case File, Cache:
		return false
	}
	return true
}

// isMemory says whether a file tells of an earlier run and nothing else hangs on
// it: the note of the sysctl drop-in, the tunnel's name in the path of the
// other.
func isMemory(p string) bool {
	return p == sysctlPath || strings.HasPrefix(path.Base(path.Dir(p)), "10-netplan-") && strings.HasSuffix(path.Dir(p), ".netdev.d")
}

// obsolete lists the links and addresses of earlier runs that are not g's. What
// a tunnel takes along is listed before it: only what was looked at can be
// brought back. On a link of another kind that is not ours.
func obsolete(g *Gateway, f Facts) []Resource {
	var all []Resource
	for _, tunnel := range f.Owned.Tunnels {
		if g != nil && tunnel == g.Tunnel {
			continue
		}
		if link, ok := f.Link(tunnel); ok && link.Kind == "ip6tnl" {
			all = append(all, Sysctl{Key: filterKey(tunnel)}, Route{Link: tunnel})
			if f.Unfiltered == "" {
				all = append(all, Egress{Link: tunnel})
			}
		}
		all = append(all, Tunnel{Link: tunnel})
	}
	for _, a := range f.Owned.Addresses {
		if g == nil || a.Link != g.WAN || a.Prefix.Addr() != g.Softwire.CE {
			all = append(all, Address{Link: a.Link, Prefix: a.Prefix})
		}
	}
	return all
}

// The modes of our files. That of netplan's is what netplan wants.
const (
	publicMode fs.FileMode = 0o644
	secretMode fs.FileMode = 0o600
)

// files lists our files, and after them those of earlier runs that are not
// wanted any more.
func files(g *Gateway, f Facts) []File {
	want := map[string]File{}
	var order []string
	add := func(path string, mode fs.FileMode, text string) {
		order = append(order, path)
		want[path] = File{Path: path}
		if text != "" {
			want[path] = File{path, mode, text}
		}
	}
	if g != nil {
		// First, because it notes the former value.
		add(sysctlPath, publicMode, sysctlText(g, f.IPForward))
	} else {
		add(sysctlPath, publicMode, "")
	}
	if g != nil && g.Netplan {
		add(limitPath(g.Tunnel), publicMode, limitText)
		add(netplanPath, secretMode, netplanText(g))
	} else {
		add(netplanPath, secretMode, "")
	}
	if g != nil && !g.Netplan {
		add(netdevPath, publicMode, netdevText(g.Tunnel, g.Softwire.CE, g.Softwire.BR, g.MTU))
		add(networkPath, publicMode, networkText(g.Tunnel))
	}
	if g != nil {
		for _, p := range g.Persist {
			if path, text := p.dropIn(); text != "" {
				add(path, publicMode, text)
			}
		}
	}
	for _, p := range f.Owned.Files {
		if _, ok := want[p]; !ok {
			add(p, publicMode, "")
		}
	}
	var all []File
	for _, p := range order {
		all = append(all, want[p])
	}
	return all
}

// live lists what the kernel and the daemons have, which the files are for.
func live(g *Gateway, f Facts) []Resource {
	var all []Resource
	if f.Networkd {
		if settings := generated(g, f); len(settings) > 0 {
			all = append(all, Generated{Settings: settings, Present: g != nil})
		}
		all = append(all, released(g, f)...)
	}
	if g == nil {
		if f.IPForward != "" && slices.Contains(f.Owned.Files, sysctlPath) {
			all = append(all, Sysctl{forwardKey, f.IPForward})
		}
		return all
	}
	ce, br := g.Softwire.CE, g.Softwire.BR
	all = append(all,
		Address{Link: g.WAN, Prefix: netip.PrefixFrom(ce, 128), Foreign: g.Foreign, Present: true},
		Tunnel{Link: g.Tunnel, Local: ce, Remote: br, HopLimit: hopLimit, EncapLimit: -1, MTU: g.MTU, Up: true},
	)
	if f.Unfiltered == "" {
		all = append(all, egressOf(g.Tunnel, g.Softwire))
	}
	if f.Networkd {
		all = append(all, managed(g, f)...)
	}
	all = append(all,
		Sysctl{filterKey(g.Tunnel), "2"},
		defaultRoute(g.Tunnel),
		Sysctl{forwardKey, "1"},
	)
	if g.Conntrack.Max > 0 {
		all = append(all, Sysctl{conntrackMaxKey, strconv.Itoa(g.Conntrack.Max)})
	}
	return all
}

// generated lists what netplan's generator must have told networkd, or with no
// gateway what it must not tell any more.
func generated(g *Gateway, f Facts) []Setting {
	if g == nil {
		var all []Setting
		for _, tunnel := range f.Owned.Tunnels {
			all = append(all, Setting{"10-netplan-" + tunnel + ".netdev", "Name", tunnel})
		}
		return all
	}
	if !g.Netplan {
		return nil
	}
	netdev, network := "10-netplan-"+g.Tunnel+".netdev", "10-netplan-"+g.Tunnel+".network"
	all := []Setting{
		{netdev, "Local", g.Softwire.CE.String()},
		{netdev, "Remote", g.Softwire.BR.String()},
		{network, "Scope", "link"},
	}
	for _, p := range g.Persist {
		if p.Definition == nil {
			continue
		}
		file := p.Definition.network()
		if p.CE.IsValid() {
			all = append(all, Setting{file, "Address", p.CE.String()})
		}
		if p.NoRA {
			all = append(all, Setting{file, "IPv6AcceptRA", "no"})
		}
	}
	return all
}

// managed lists the links that networkd configures by a file of ours.
func managed(g *Gateway, f Facts) []Resource {
	var all []Resource
	if !g.Netplan {
		all = append(all, Managed{g.Tunnel, networkPath, "", true})
	}
	for _, p := range g.Persist {
		if path, text := p.dropIn(); text != "" {
			all = append(all, Managed{p.Link, path, text, true})
		}
	}
	return all
}

// released lists the links that networkd shall configure without the drop-in
// of an earlier run.
func released(g *Gateway, f Facts) []Resource {
	var all []Resource
	for _, l := range f.Links {
		file := dropInPath(l.NetworkFile)
		if !slices.Contains(f.Owned.Files, file) {
			continue
		}
		wanted := func(p Persist) bool { path, _ := p.dropIn(); return path == file }
		if g == nil || !slices.ContainsFunc(g.Persist, wanted) {
			all = append(all, Managed{Link: l.Name, File: file})
		}
	}
	return all
}

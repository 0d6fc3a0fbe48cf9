package reconcile

import (
	"io/fs"
	"net/netip"
	"slices"
	"strconv"

	"mape-netplan/reconcile/nft"
)

// Compile lists everything that the program may own, in the order in which it
// is to be made, with absent things as absent values. No gateway is a machine
// without any of it: what "remove" wants.
//
// The order keeps the machine safe in between: what is no longer wanted goes
// first, while the files still tell of it; the guard is there before the
// tunnel is, and goes after it.
func Compile(g *Gateway, f Facts) []Resource { return Order{}.Compile(g, f) }

func compile(g *Gateway, f Facts, o Order) []Resource {
	all := obsolete(g, f)
	table := Table{nft.Table{Name: tableName}}
	if g != nil {
		table = Table{natTable(g.nat(), g.pool)}
		all = append(all, table)
	}
	for _, file := range files(g, f) {
		if g != nil || !file.memory {
			all = append(all, file.File)
		}
	}
	all = append(all, live(g, f, o)...)
	all = append(all, flows(g, f))
	if g == nil {
		// What else has to be undone is known from these files only.
		for _, file := range files(g, f) {
			if file.memory {
				all = append(all, file.File)
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
	return r.Traits().Stage != Files
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
		if g == nil || a.Link != g.WAN.Name || a.Prefix.Addr() != g.Softwire.CE {
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

// An ownFile is one of ours. One of memory tells of an earlier run, and nothing
// else hangs on it: the note of the sysctl drop-in, the tunnel's name in the
// path of the other.
type ownFile struct {
	File
	memory bool
}

// files lists our files, and after them those of earlier runs that are not
// wanted any more.
func files(g *Gateway, f Facts) []ownFile {
	memory := []string{sysctlPath}
	for _, tunnel := range f.Owned.Tunnels {
		memory = append(memory, limitPath(tunnel))
	}
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
		add(sysctlPath, publicMode, sysctlText(g.Tunnel, g.Conntrack.Max, f.IPForward))
	} else {
		add(sysctlPath, publicMode, "")
	}
	if g != nil && g.Netplan {
		add(limitPath(g.Tunnel), publicMode, limitText)
		add(netplanPath, secretMode, g.netplanText())
	} else {
		add(netplanPath, secretMode, "")
	}
	if g != nil && !g.Netplan {
		add(netdevPath, publicMode, g.netdevText())
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
	var all []ownFile
	for _, p := range order {
		all = append(all, ownFile{want[p], slices.Contains(memory, p)})
	}
	return all
}

// netplanText is our netplan file: the tunnel, and what the definitions of the
// WAN and the LAN need besides their own files.
func (g *Gateway) netplanText() string {
	var additions []netplanAddition
	for _, p := range g.Persist {
		if d := p.Definition; d != nil {
			additions = append(additions, netplanAddition{Section: d.Section, ID: d.ID, Address: p.CE, NoRA: p.NoRA})
		}
	}
	return netplanText(netplanTunnel{ID: g.Tunnel, Local: g.Softwire.CE, Remote: g.Softwire.BR, TTL: hopLimit, MTU: g.MTU}, additions)
}

// netdevText is the tunnel's file where there is no netplan.
func (g *Gateway) netdevText() string {
	return netdevText(netdev{Name: g.Tunnel, Local: g.Softwire.CE, Remote: g.Softwire.BR, TTL: hopLimit, MTU: g.MTU})
}

// live lists what the kernel and the daemons have, which the files are for.
func live(g *Gateway, f Facts, o Order) []Resource {
	var all []Resource
	if f.Networkd {
		if settings := generated(g, f); len(settings) > 0 {
			all = append(all, Generated{Settings: settings, Present: g != nil, Told: o.Quiet})
		}
		if !o.Quiet {
			all = append(all, released(g, f)...)
		}
	}
	if g == nil {
		if f.IPForward != "" && slices.Contains(f.Owned.Files, sysctlPath) {
			all = append(all, Sysctl{forwardKey, f.IPForward})
		}
		return all
	}
	ce, br := g.Softwire.CE, g.Softwire.BR
	all = append(all,
		Address{Link: g.WAN.Name, Prefix: netip.PrefixFrom(ce, 128), Foreign: g.Foreign, Present: true},
		Tunnel{Link: g.Tunnel, Local: ce, Remote: br, HopLimit: hopLimit, EncapLimit: -1, MTU: g.MTU, Up: true},
	)
	if f.Unfiltered == "" {
		all = append(all, egressOf(g.Tunnel, g.Softwire))
	}
	if f.Networkd && !o.Quiet {
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
		{netdev, "TTL", strconv.Itoa(hopLimit)},
	}
	if g.MTU > 0 {
		all = append(all, Setting{netdev, "MTUBytes", strconv.Itoa(g.MTU)})
	}
	all = append(all, Setting{network, "Scope", "link"})
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
		all = append(all, Managed{Link: g.Tunnel, File: networkPath, Present: true})
	}
	for _, p := range g.Persist {
		if path, text := p.dropIn(); text != "" {
			all = append(all, p.managed(path, text))
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

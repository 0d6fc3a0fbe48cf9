package gateway

import (
	"math"
	"net/netip"
	"slices"
	"strconv"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
)

// Compile lists everything that the program may own, in the order in which it is
// written, with absent things as absent values. Of a nil gateway it lists all of
// them as absent: that is "remove".
//
// The order keeps the machine safe in between: what is no longer wanted goes
// first, while the files still tell of it; the guard comes before the tunnel and
// goes after it.
func Compile(g *Gateway, f facts.Facts) []engine.Resource { return Transition{}.Compile(g, f) }

func compile(g *Gateway, f facts.Facts, t Transition) []engine.Resource {
	all := obsolete(g, f)
	table := resource.Table{Table: nft.Table{Name: nat.Name}}
	if g != nil {
		table = resource.Table{Table: nat.Table(g.NATConfig(), g.Pool)}
		all = append(all, table)
	}
	files, last := files(g, f)
	all = append(all, files...)
	all = append(all, live(g, f, t)...)
	if f.Owned.Translates && (g == nil || !g.translates()) {
		all = append(all, resource.Discard{})
	}
	all = append(all, Connections(g, f))
	if g == nil {
		// Last, because only these files tell what else there is to undo.
		all = append(append(all, last...), table, LastSection{})
	}
	if f.Discovered != nil && (g == nil || !discovery.Asks(g.Provider)) {
		all = append(all, discovery.Cache{})
	}
	if f.FarEnds != nil && (g == nil || g.FarEnd == "") {
		all = append(all, discovery.Kept{Path: discovery.NamesPath})
	}
	if f.Announced != nil && (g == nil || g.Contract == nil) {
		all = append(all, discovery.Kept{Path: discovery.AnnouncementPath})
	}
	if !f.Live {
		all = slices.DeleteFunc(all, isLive)
	}
	return all
}

// isLive reports whether a resource is of a running machine, not a file.
func isLive(r engine.Resource) bool {
	return r.Traits().Stage != engine.Files
}

// live lists what the kernel and the daemons must have by the files.
func live(g *Gateway, f facts.Facts, t Transition) []engine.Resource {
	var all []engine.Resource
	if f.Networkd {
		if settings := Generated(g, f); len(settings) > 0 {
			all = append(all, resource.Generated{Settings: settings, Present: g != nil, NoReload: t.NoReload})
		}
		if !t.NoReload {
			all = append(all, released(g, f)...)
		}
	}
	if g == nil {
		if f.IPForward != "" && slices.Contains(f.Owned.Files, sysctld.Path) {
			all = append(all, resource.Sysctl{Key: sysctld.ForwardKey, Value: f.IPForward})
		}
		return all
	}
	switch {
	case g.translates():
		all = append(all, resource.Discard{Present: true})
	case f.Owned.Translates: // before the tunnel has another far end
		all = append(all, resource.Translator{Tunnel: g.Tunnel.Link})
	}
	all = append(all,
		resource.Address{Link: g.WAN.Name, Prefix: netip.PrefixFrom(g.Softwire.CE(), 128), Foreign: g.Foreign, Present: true},
		resource.Tunnel{Tunnel: g.Tunnel, Up: true},
	)
	if f.Unfiltered == "" {
		all = append(all, resource.EgressOf(g.Tunnel.Link, g.sources(), g.Softwire.Ports))
	}
	if g.translates() {
		all = append(all, resource.TranslatorOf(g.Tunnel.Link, g.WAN.Name, g.WAN.MTU, g.Softwire))
	}
	if g.Tunnel.Inner.IsValid() {
		all = append(all, resource.Address{Link: g.Tunnel.Link, Prefix: g.Tunnel.Inner, Present: true, Preferred: math.MaxUint32})
	}
	if f.Networkd && !t.NoReload {
		all = append(all, managed(g, f)...)
	}
	all = append(all,
		resource.Sysctl{Key: sysctld.RPFilterKey(g.Tunnel.Link), Value: "2"},
		resource.DefaultRoute(g.Tunnel.Link),
		resource.Sysctl{Key: sysctld.ForwardKey, Value: "1"},
	)
	if g.Conntrack.Max > 0 {
		all = append(all, resource.Sysctl{Key: sysctld.ConntrackMaxKey, Value: strconv.Itoa(g.Conntrack.Max)})
	}
	return all
}

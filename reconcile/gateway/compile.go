package gateway

import (
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

// Compile lists everything that the program may own, in the order in which it
// is to be made, with absent things as absent values. No gateway is a machine
// without any of it: what "remove" wants.
//
// The order keeps the machine safe in between: what is no longer wanted goes
// first, while the files still tell of it; the guard is there before the
// tunnel is, and goes after it.
func Compile(g *Gateway, f facts.Facts) []engine.Resource { return Order{}.Compile(g, f) }

func compile(g *Gateway, f facts.Facts, o Order) []engine.Resource {
	all := obsolete(g, f)
	table := resource.Table{Table: nft.Table{Name: nat.Name}}
	if g != nil {
		table = resource.Table{Table: nat.Table(g.Nat(), g.Pool)}
		all = append(all, table)
	}
	for _, file := range files(g, f) {
		if g != nil || !file.memory {
			all = append(all, file.File)
		}
	}
	all = append(all, live(g, f, o)...)
	all = append(all, Connections(g, f))
	if g == nil {
		// What else has to be undone is known from these files only.
		for _, file := range files(g, f) {
			if file.memory {
				all = append(all, file.File)
			}
		}
		all = append(all, table)
	}
	if f.Discovered != nil && (g == nil || g.Provider != discovery.Discover) {
		all = append(all, discovery.Cache{})
	}
	if !f.Live {
		all = slices.DeleteFunc(all, isLive)
	}
	return all
}

// isLive says whether a resource is of a running machine.
func isLive(r engine.Resource) bool {
	return r.Traits().Stage != engine.Files
}

// An ownFile is one of ours. One of memory tells of an earlier run, and nothing
// else hangs on it: the note of the sysctl drop-in, the tunnel's name in the
// path of the other.
type ownFile struct {
	resource.File
	memory bool
}

// live lists what the kernel and the daemons have, which the files are for.
func live(g *Gateway, f facts.Facts, o Order) []engine.Resource {
	var all []engine.Resource
	if f.Networkd {
		if settings := Generated(g, f); len(settings) > 0 {
			all = append(all, resource.Generated{Settings: settings, Present: g != nil, Told: o.Quiet})
		}
		if !o.Quiet {
			all = append(all, released(g, f)...)
		}
	}
	if g == nil {
		if f.IPForward != "" && slices.Contains(f.Owned.Files, sysctld.SysctlPath) {
			all = append(all, resource.Sysctl{Key: sysctld.ForwardKey, Value: f.IPForward})
		}
		return all
	}
	ce, br := g.Softwire.CE, g.Softwire.BR
	all = append(all,
		resource.Address{Link: g.WAN.Name, Prefix: netip.PrefixFrom(ce, 128), Foreign: g.Foreign, Present: true},
		resource.Tunnel{Link: g.Tunnel, Local: ce, Remote: br, HopLimit: hopLimit, EncapLimit: -1, MTU: g.MTU, Up: true},
	)
	if f.Unfiltered == "" {
		all = append(all, resource.EgressOf(g.Tunnel, g.Softwire))
	}
	if f.Networkd && !o.Quiet {
		all = append(all, managed(g, f)...)
	}
	all = append(all,
		resource.Sysctl{Key: sysctld.FilterKey(g.Tunnel), Value: "2"},
		resource.DefaultRoute(g.Tunnel),
		resource.Sysctl{Key: sysctld.ForwardKey, Value: "1"},
	)
	if g.Conntrack.Max > 0 {
		all = append(all, resource.Sysctl{Key: sysctld.ConntrackMaxKey, Value: strconv.Itoa(g.Conntrack.Max)})
	}
	return all
}

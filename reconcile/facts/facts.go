// Package facts has all that deciding needs to know of a machine, as plain data.
package facts

import (
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/firewall"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/sysctld"
)

// Facts is all that compiling a section needs to know of the machine. It is
// plain data and marshals to JSON.
type Facts struct {
	// Live says that there is a kernel to configure, not only files.
	Live bool `json:"live"`
	// Links are the interfaces: the kernel's, or without a kernel those that
	// netplan and networkd's files name.
	Links []kernel.Link `json:"links"`
	// Nowhere4 is the type of the main table's IPv4 default route of metric 0
	// that leaves by no link: unreachable, blackhole, prohibit or throw; "" is
	// none.
	Nowhere4 string `json:"nowhere4,omitempty"`
	// Delegations are the prefixes that DHCPv6 has delegated to the machine,
	// the surest knowledge first.
	Delegations []networkd.Delegation `json:"delegations,omitempty"`
	// Netplan says that netplan is there, Networkd that systemd-networkd is.
	Netplan  bool `json:"netplan"`
	Networkd bool `json:"networkd"`
	// Renderer is netplan's for definitions that have none of their own, such
	// as that of our tunnel; "" is networkd.
	Renderer string `json:"renderer,omitempty"`
	// Definitions are netplan's, of every file but ours.
	Definitions []netplan.Definition `json:"definitions,omitempty"`
	// Owned is what earlier runs made, as far as their files tell.
	Owned Owned `json:"owned"`
	// IPForward is net.ipv4.ip_forward as it was before the first run; "" is
	// not known.
	IPForward string `json:"ip_forward,omitempty"`
	// Unfiltered is why nothing can filter what leaves by the tunnel; "" is that
	// something can.
	Unfiltered string `json:"unfiltered,omitempty"`
	// Foreign is what other programs have in nf_tables.
	Foreign firewall.Foreign `json:"foreign,omitzero"`
	// Discovered is what the line said when it was asked for its rules; nil is
	// that it was not.
	Discovered *discovery.Discovery `json:"discovered,omitempty"`
}

// Gather looks at the machine. The error is a host.Unread where all but these
// files could be read, and the facts beside it are what the rest tells.
func Gather(h *host.Host) (Facts, error) {
	f, unread := Look(h)
	if err := new(host.Unread).Add(unread); err != nil {
		return f, err
	}
	var err error
	if f.Foreign, err = firewall.Read(h); err != nil {
		return f, err
	}
	return f, unread
}

// Look is Gather without what other programs have in nf_tables: only warnings
// depend on that, and there may be much of it.
func Look(h *host.Host) (Facts, error) {
	f := Facts{
		Live:     h.Live(),
		Netplan:  netplan.Installed(h),
		Networkd: h.Bus != nil,
	}
	var unread host.Unread
	files, err := netplan.ReadFiles(h)
	if err := unread.Add(err); err != nil {
		return f, err
	}
	if f.Discovered, err = discovery.ReadCache(h); unread.Add(err) != nil {
		return f, err
	}
	var kept []netip.Prefix
	if h.Live() {
		kept, err = links(h, &f)
	} else {
		f.Links, err = definedLinks(h, files)
	}
	if err != nil {
		return f, err
	}
	f.Renderer, f.Definitions = netplan.Renderer(files), netplan.Definitions(files, f.Links)
	if err := networkFiles(h, f.Links); err != nil {
		return f, err
	}
	f.Delegations = networkd.Delegations(h, f.Links, kept)
	if f.Owned, err = ReadOwned(h, f); unread.Add(err) != nil {
		return f, err
	}
	if h.Live() {
		if why := barred(h, f); why != nil {
			f.Unfiltered = why.Error()
		}
	}
	if f.IPForward, err = ipForward(h, f.Owned); unread.Add(err) != nil {
		return f, err
	}
	return f, unread.Err()
}

// Link returns the interface of a name.
func (f Facts) Link(name string) (kernel.Link, bool) {
	i := slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Name == name })
	if i < 0 {
		return kernel.Link{}, false
	}
	return f.Links[i], true
}

// Names lists the interfaces that a person may have meant.
func (f Facts) Names() string {
	var names []string
	for _, l := range f.Links {
		// ip6tnl0 is the module's own, not anybody's interface.
		if !l.Loopback && l.Name != "ip6tnl0" {
			names = append(names, l.Name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// ipForward returns the value before the first run: our own drop-in remembers
// it, for the running value is ours since. Where somebody deleted that, the
// value is not known.
func ipForward(h *host.Host, o Owned) (string, error) {
	if slices.Contains(o.Files, sysctld.SysctlPath) {
		data, err := h.Root.ReadFile(host.Local(sysctld.SysctlPath))
		if err != nil {
			return "", host.Unread{{Path: sysctld.SysctlPath, Err: err}}
		}
		if former := sysctld.FormerForward(string(data)); former != "" {
			return former, nil
		}
	}
	// A drop-in alone asks for a delegation, before anything else is touched.
	made := func(p string) bool {
		return !slices.ContainsFunc(o.Requests, func(r Request) bool { return r.File == p })
	}
	if h.Sys == nil || slices.ContainsFunc(o.Files, made) {
		return "", nil
	}
	data, err := h.Sys.ReadFile(sysctld.ForwardKey)
	if err != nil {
		return "", host.Unread{{Path: "/proc/sys/" + sysctld.ForwardKey, Err: err}}
	}
	return strings.TrimSpace(string(data)), nil
}

// InternetAddresses are internet addresses in both halves of the address space, which
// some VPNs have a route for each: what the kernel would do with packets to
// them is looked up, and none is sent. The second is a root name server's.
var InternetAddresses = []netip.Addr{netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("198.41.0.4")}

// DefinitionOf returns the definition that configures an interface.
func (f Facts) DefinitionOf(link string) (netplan.Definition, bool) {
	i := slices.IndexFunc(f.Definitions, func(d netplan.Definition) bool { return slices.Contains(d.Interfaces, link) })
	if i < 0 {
		return netplan.Definition{}, false
	}
	return f.Definitions[i], true
}

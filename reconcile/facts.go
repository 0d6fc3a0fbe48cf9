package reconcile

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Facts is all that compiling a section needs to know of the machine. It is
// plain data and marshals to JSON.
type Facts struct {
	// Live says that there is a kernel to configure, not only files.
	Live bool `json:"live"`
	// Links are the interfaces: the kernel's, or without a kernel those that
	// netplan and networkd's files name.
	Links []Link `json:"links"`
	// Netplan says that netplan is there, Networkd that systemd-networkd is.
	Netplan  bool `json:"netplan"`
	Networkd bool `json:"networkd"`
	// Definitions are netplan's, of every file but ours.
	Definitions []Definition `json:"definitions,omitempty"`
	// Owned is what earlier runs made, as far as their files tell.
	Owned Owned `json:"owned"`
	// IPForward is net.ipv4.ip_forward as it was before the first run; "" is
	// not known.
	IPForward string `json:"ip_forward,omitempty"`
	// Foreign is what other programs have in nf_tables.
	Foreign Foreign `json:"foreign,omitzero"`
}

// A Link is a network interface.
type Link struct {
	Name      string `json:"name"`
	Index     int    `json:"index,omitempty"`
	Kind      string `json:"kind,omitempty"` // as "ip -d link" says: device, bridge, ip6tnl
	MAC       string `json:"mac,omitempty"`
	MTU       int    `json:"mtu,omitempty"` // bytes; 0 is not known
	Loopback  bool   `json:"loopback,omitempty"`
	Addresses []Inet `json:"addresses,omitempty"`
	// Default4 and Default6 are the lowest metrics of the main table's default
	// routes that leave here; nil is none.
	Default4 *int `json:"default4,omitempty"`
	Default6 *int `json:"default6,omitempty"`
	// NetworkFile is the .network file that networkd configures it by.
	NetworkFile string `json:"network_file,omitempty"`
}

// An Inet is an address on a link.
type Inet struct {
	Prefix     netip.Prefix `json:"prefix"` // the address and its length
	Temporary  bool         `json:"temporary,omitempty"`
	Deprecated bool         `json:"deprecated,omitempty"`
}

// Gather looks at the machine.
func Gather(h *Host) (Facts, error) {
	f := Facts{
		Live:     h.Live(),
		Netplan:  h.netplanInstalled(),
		Networkd: h.Bus != nil,
	}
	files, err := h.netplanFiles()
	if err != nil {
		return f, err
	}
	if h.Live() {
		f.Links, err = h.links()
	} else {
		f.Links, err = h.definedLinks(files)
	}
	if err != nil {
		return f, err
	}
	f.Definitions = definitions(files, f.Links)
	if err := h.networkFiles(f.Links); err != nil {
		return f, err
	}
	if f.Owned, err = h.owned(f); err != nil {
		return f, err
	}
	if f.IPForward, err = h.ipForward(f.Owned); err != nil {
		return f, err
	}
	f.Foreign, err = h.foreign()
	return f, err
}

// Link returns the interface of a name.
func (f Facts) Link(name string) (Link, bool) {
	i := slices.IndexFunc(f.Links, func(l Link) bool { return l.Name == name })
	if i < 0 {
		return Link{}, false
	}
	return f.Links[i], true
}

// names lists the interfaces that a person may have meant.
func (f Facts) names() string {
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

// links reads the kernel's interfaces.
func (h *Host) links() ([]Link, error) {
	all, err := whole(h.Net.LinkList)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	var links []Link
	for _, l := range all {
		a := l.Attrs()
		links = append(links, Link{
			Name: a.Name, Index: a.Index, Kind: l.Type(), MTU: a.MTU,
			MAC: a.HardwareAddr.String(), Loopback: a.Flags&net.FlagLoopback != 0,
		})
	}
	if err := h.addresses(links); err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	if err := h.routes(links); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return links, nil
}

func (h *Host) addresses(links []Link) error {
	all, err := whole(func() ([]netlink.Addr, error) { return h.Net.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return err
	}
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		bits, _ := a.Mask.Size()
		for i := range links {
			if links[i].Index == a.LinkIndex {
				links[i].Addresses = append(links[i].Addresses, Inet{
					Prefix:     netip.PrefixFrom(ip.Unmap(), bits),
					Temporary:  a.Flags&unix.IFA_F_TEMPORARY != 0 && ip.Is6() && a.Flags&unix.IFA_F_SECONDARY != 0,
					Deprecated: a.Flags&unix.IFA_F_DEPRECATED != 0,
				})
			}
		}
	}
	return nil
}

// routes marks the links that default routes of the main table leave by. Only
// those are asked of the kernel: it may have hundreds of thousands.
func (h *Host) routes(links []Link) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		filter := &netlink.Route{Table: unix.RT_TABLE_MAIN, Dst: nil}
		all, err := whole(func() ([]netlink.Route, error) {
			return h.Net.RouteListFiltered(family, filter, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
		})
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.Type != unix.RTN_UNICAST { // An unreachable default leaves nowhere.
				continue
			}
			hops := []int{r.LinkIndex}
			for _, hop := range r.MultiPath {
				hops = append(hops, hop.LinkIndex)
			}
			for i := range links {
				if slices.Contains(hops, links[i].Index) {
					links[i].leads(family, r.Priority)
				}
			}
		}
	}
	return nil
}

func (l *Link) leads(family, metric int) {
	lowest := &l.Default4
	if family == netlink.FAMILY_V6 {
		lowest = &l.Default6
	}
	if *lowest == nil || **lowest > metric {
		*lowest = &metric
	}
}

// ipForward returns the value before the first run: our own drop-in remembers
// it, for the running value is ours since. Where somebody deleted that, the
// value is not known.
func (h *Host) ipForward(o Owned) (string, error) {
	if slices.Contains(o.Files, sysctlPath) {
		data, err := h.Root.ReadFile(local(sysctlPath))
		if former := formerForward(string(data)); former != "" || err != nil {
			return former, err
		}
	}
	if h.Sys == nil || len(o.Files) > 0 {
		return "", nil
	}
	data, err := h.Sys.ReadFile(forwardKey)
	return strings.TrimSpace(string(data)), err
}

// glob matches names in a directory of the host, which need not exist.
func (h *Host) glob(pattern string) ([]string, error) {
	names, err := fs.Glob(h.Root.FS(), local(pattern))
	for i := range names {
		names[i] = path.Join("/", names[i])
	}
	return names, err
}

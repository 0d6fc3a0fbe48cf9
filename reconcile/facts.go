package reconcile

import (
	"cmp"
	"errors"
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
	// Nowhere4 is the type of the main table's IPv4 default route of metric 0
	// that leaves by no link: unreachable, blackhole, prohibit or throw; "" is
	// none.
	Nowhere4 string `json:"nowhere4,omitempty"`
	// Delegations are the prefixes that DHCPv6 has delegated to the machine,
	// the surest knowledge first.
	Delegations []Delegation `json:"delegations,omitempty"`
	// Netplan says that netplan is there, Networkd that systemd-networkd is.
	Netplan  bool `json:"netplan"`
	Networkd bool `json:"networkd"`
	// Renderer is netplan's for definitions that have none of their own, such
	// as that of our tunnel; "" is networkd.
	Renderer string `json:"renderer,omitempty"`
	// Definitions are netplan's, of every file but ours.
	Definitions []Definition `json:"definitions,omitempty"`
	// Owned is what earlier runs made, as far as their files tell.
	Owned Owned `json:"owned"`
	// IPForward is net.ipv4.ip_forward as it was before the first run; "" is
	// not known.
	IPForward string `json:"ip_forward,omitempty"`
	// Unfiltered is why nothing can filter what leaves by the tunnel; "" is that
	// something can.
	Unfiltered string `json:"unfiltered,omitempty"`
	// Foreign is what other programs have in nf_tables.
	Foreign Foreign `json:"foreign,omitzero"`
	// Discovered is what the line said when it was asked for its rules; nil is
	// that it was not.
	Discovered *Discovery `json:"discovered,omitempty"`
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
	// routes that leave here, but for those of a type of service; nil is none.
	Default4 *int `json:"default4,omitempty"`
	Default6 *int `json:"default6,omitempty"`
	// NetworkFile is the .network file that networkd configures it by.
	NetworkFile string `json:"network_file,omitempty"`
	// DUIDType is of the DUID by which networkd's DHCPv6 client asks here, in
	// networkd's words, such as "DUID-LL" or "DUID-EN/Vendor"; "" is not known.
	DUIDType string `json:"duid_type,omitempty"`
}

// Gather looks at the machine.
func Gather(h *Host) (Facts, error) {
	f, err := look(h)
	if err != nil {
		return f, err
	}
	f.Foreign, err = h.foreign()
	return f, err
}

// unread is the error of a look in which all but these files could be read. The
// facts beside it are what the rest tells.
type unread struct{ error }

func (u unread) Unwrap() error { return u.error }

// look is Gather without what other programs have in nf_tables: only warnings
// depend on that, and there may be much of it.
func look(h *Host) (Facts, error) {
	f := Facts{
		Live:     h.Live(),
		Netplan:  h.netplanInstalled(),
		Networkd: h.Bus != nil,

		Discovered: h.cached(),
	}
	files, closed := h.netplanFiles()
	var kept []netip.Prefix
	var err error
	if h.Live() {
		kept, err = h.links(&f)
	} else {
		f.Links, err = h.definedLinks(files)
	}
	if err != nil {
		return f, err
	}
	f.Renderer, f.Definitions = renderer(files), definitions(files, f.Links)
	if err := h.networkFiles(f.Links); err != nil {
		return f, err
	}
	f.Delegations = h.delegations(f.Links, kept)
	f.Owned, err = h.owned(f)
	closed = errors.Join(closed, err)
	if h.Live() {
		if why := h.barred(f); why != nil {
			f.Unfiltered = why.Error()
		}
	}
	f.IPForward, err = h.ipForward(f.Owned)
	if closed = errors.Join(closed, err); closed != nil {
		return f, unread{closed}
	}
	return f, nil
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

// links reads the kernel's interfaces and where its default routes lead, and
// returns the prefixes that are kept for a delegation.
func (h *Host) links(f *Facts) (kept []netip.Prefix, err error) {
	all, err := whole(h.Net.LinkList)
	if err != nil {
		return nil, fmt.Errorf("links: %w", err)
	}
	for _, l := range all {
		a := l.Attrs()
		f.Links = append(f.Links, Link{
			Name: a.Name, Index: a.Index, Kind: l.Type(), MTU: a.MTU,
			MAC: a.HardwareAddr.String(), Loopback: a.Flags&net.FlagLoopback != 0,
		})
	}
	if err := h.addresses(f.Links); err != nil {
		return nil, fmt.Errorf("addresses: %w", err)
	}
	if kept, err = h.routes(f); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return kept, nil
}

// nowhere are the types of routes that leave by no link, as "ip route" says.
var nowhere = map[int]string{
	unix.RTN_UNREACHABLE: "unreachable", unix.RTN_BLACKHOLE: "blackhole", unix.RTN_PROHIBIT: "prohibit", unix.RTN_THROW: "throw",
}

// routes marks the links that default routes of the main table leave by, and
// returns the prefixes that are kept for a delegation.
func (h *Host) routes(f *Facts) (kept []netip.Prefix, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		all, err := h.mainRoutes(family)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if keepsDelegation(r) {
				kept = append(kept, towards(r))
			}
			switch {
			case r.Tos != 0 || towards(r).Bits() != 0:
				continue // Most packets pass it by.
			case r.Type != unix.RTN_UNICAST:
				if family == unix.AF_INET && r.Priority == 0 {
					f.Nowhere4 = cmp.Or(f.Nowhere4, nowhere[r.Type])
				}
				continue
			}
			hops := []int{r.LinkIndex}
			for _, hop := range r.MultiPath {
				hops = append(hops, hop.LinkIndex)
			}
			for i := range f.Links {
				if slices.Contains(hops, f.Links[i].Index) {
					f.Links[i].leads(int(family), r.Priority)
				}
			}
		}
	}
	return kept, nil
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
	// A drop-in alone asks for a delegation, before anything else is touched.
	made := func(p string) bool {
		return !slices.ContainsFunc(o.Requests, func(r Request) bool { return r.File == p })
	}
	if h.Sys == nil || slices.ContainsFunc(o.Files, made) {
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

package facts

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
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

// Gather looks at the machine. If only some files cannot be read the error is a
// host.Unread, and the facts beside it are complete but for these.
func Gather(h *host.Host) (Facts, error) {
	f, unread := Look(h)
	if err := new(host.Unread).Add(unread); err != nil {
		return f, err
	}
	f.Owned.Proven, _ = LastSection(h) // The service logs why it cannot be used.
	var err error
	if f.Foreign, err = firewall.Read(h); err != nil {
		return f, err
	}
	return f, unread
}

// Look is Gather without what other programs have in nf_tables, which makes only
// warnings, and there may be much of it, and without the last section, which only
// the service writes.
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
	if f.FarEnds, err = discovery.ReadNames(h); unread.Add(err) != nil {
		return f, err
	}
	if f.Announced, err = discovery.ReadAnnouncement(h); unread.Add(err) != nil {
		return f, err
	}
	networks, err := networkd.Networks(h)
	if err != nil {
		return f, err
	}
	var kept []netip.Prefix
	if !h.Live() {
		f.Links = definedLinks(files, networks)
	} else if kept, err = links(h, &f); err != nil {
		return f, err
	}
	networkFiles(h, f.Links, networks)
	f.Renderer, f.Definitions = netplan.Renderer(files), netplan.Definitions(files, f.Links)
	if f.Named, err = networkd.Named(h); err != nil {
		return f, err
	}
	if f.Sysctls, err = sysctld.Later(h); err != nil {
		return f, err
	}
	f.Networks = slices.DeleteFunc(networks, func(n networkd.Network) bool { return !n.Own })
	f.Namesake = netplan.Namesake(h)
	f.ByNM = netplan.Mentions(files, netplan.NetworkManager)
	// At boot netplan's generator enables networkd for what its files define.
	generated := f.Netplan && len(f.Definitions) > 0
	f.Disabled = h.Booted() && !f.Networkd && !generated && !wanted(h, "systemd-networkd")
	f.Managers = managers(h, f.Links)
	f.Delegations = networkd.Delegations(h, f.Links, kept)
	if f.Owned, err = ReadOwned(h, f); unread.Add(err) != nil {
		return f, err
	}
	if h.Live() {
		if why := barred(h, f); why != nil {
			f.Unfiltered = why.Error()
		}
		f.MaxFixed = maxFixed(h)
		if _, f.Owned.Translates, err = kernel.DiscardRoute(h); err != nil {
			return f, err
		}
	}
	if f.IPForward, err = ipForward(h, f.Owned); unread.Add(err) != nil {
		return f, err
	}
	return f, unread.Err()
}

// networkFiles sets the .network file of each link and the type of its DUID, as
// networkd tells. If networkd does not run it is the first file whose [Match] names
// the link.
func networkFiles(h *host.Host, links []kernel.Link, networks []networkd.Network) {
	for i, l := range links {
		if h.Bus != nil && l.Index > 0 {
			var configured bool
			if links[i].NetworkFile, configured = networkd.LinkState(h, l.Index, "NETWORK_FILE"); configured {
				links[i].DUIDType = networkd.DUIDType(h, l.Index)
			}
			continue
		}
		if at := slices.IndexFunc(networks, func(n networkd.Network) bool { is, _ := n.Selects(l); return is }); at >= 0 {
			links[i].NetworkFile = networks[at].Path
		}
	}
}

// ipForward returns the value before the first run. Since then the running value
// is ours, and our drop-in notes the former one. Without that file it is unknown.
func ipForward(h *host.Host, o Owned) (string, error) {
	if slices.Contains(o.Files, sysctld.Path) {
		data, err := h.ReadFile(sysctld.Path)
		if err != nil {
			return "", host.Unread{{Path: sysctld.Path, Err: err}}
		}
		if former := sysctld.FormerForward(string(data)); former != "" {
			return former, nil
		}
	}
	// The drop-in that requests a prefix is written before anything else is changed.
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

// maxFixed is why nf_conntrack_max cannot be set: only the first network namespace may. A caller who is not root gets "".
func maxFixed(h *host.Host) string {
	if os.Geteuid() != 0 || h.Sys == nil {
		return ""
	}
	file, err := h.Sys.OpenFile(sysctld.ConntrackMaxKey, os.O_WRONLY, 0) // Without a write it has no effect.
	if errors.Is(err, fs.ErrNotExist) {                                  // The module is not loaded yet.
		return ""
	}
	if err != nil {
		return errors.Unwrap(err).Error()
	}
	_ = file.Close()
	return ""
}

// barred is the reason if a tunnel cannot have a filter of its own. A caller who
// may not ask the kernel gets nil.
func barred(h *host.Host, f Facts) error {
	links := slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !slices.Contains(f.Owned.Tunnels, l.Name) })
	if len(links) == 0 { // Any link can be asked, and every machine has this one.
		links = slices.DeleteFunc(slices.Clone(f.Links), func(l kernel.Link) bool { return !l.Loopback })
	}
	for _, l := range links {
		err := kernel.Barred(h, l.Index)
		if errors.Is(err, kernel.ErrIngress) || errors.Is(err, kernel.ErrShared) {
			if l.Loopback {
				continue
			}
			return fmt.Errorf("%s: %w", l.Name, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

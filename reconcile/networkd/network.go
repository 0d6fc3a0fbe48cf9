package networkd

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// GeneratedDir is where netplan's generator writes for networkd.
const GeneratedDir = "/run/systemd/network"

// A Network is a .network file, with its drop-ins.
type Network struct {
	Path string `json:"path"`
	// Own: neither the program's nor netplan's.
	Own bool `json:"-"`
	// Names and MACs are those that it is for, separated by blanks; "": any. Kinds and Types likewise, in networkd's words.
	Names string `json:"names,omitempty"`
	MACs  string `json:"macs,omitempty"`
	Kinds string `json:"kinds,omitempty"`
	Types string `json:"types,omitempty"`
	// Others: it is for links of a driver, a path or a host, too, which cannot be told here.
	Others bool `json:"others,omitempty"`
	// Unmanaged: networkd leaves those links alone.
	Unmanaged bool `json:"unmanaged,omitempty"`
	// Default4 is the lowest metric of the static IPv4 default routes in the main
	// table; nil: none.
	Default4 *int `json:"default4,omitempty"`

	addresses []kernel.Inet
}

// unitFiles lists networkd's files that match a pattern, in the order in which it reads
// them and without those that others shadow.
func unitFiles(h *host.Host, pattern string) ([]string, error) {
	at := map[string]string{}
	for _, dir := range []string{"/usr/lib/systemd/network", "/usr/local/lib/systemd/network", GeneratedDir, NetworkDir} {
		paths, err := h.Glob(dir + "/" + pattern)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			at[path.Base(p)] = p
		}
	}
	files := make([]string, 0, len(at))
	for _, name := range slices.Sorted(maps.Keys(at)) {
		files = append(files, at[name])
	}
	return files, nil
}

// sections reads a file. own: neither the program nor netplan wrote it. One that
// cannot be read has none.
func sections(h *host.Host, p string) (all []*unit.UnitSection, own bool) {
	data, err := h.ReadFile(p)
	if err != nil {
		return nil, false
	}
	all, _ = unit.DeserializeSections(strings.NewReader(string(data)))
	generated := path.Dir(p) == GeneratedDir && strings.HasPrefix(path.Base(p), "10-netplan-")
	return all, !generated && !strings.HasPrefix(string(data), host.Mark)
}

// Networks reads the .network files in the order in which networkd does.
func Networks(h *host.Host) (all []Network, err error) {
	files, err := unitFiles(h, "*.network")
	if err != nil {
		return nil, err
	}
	for _, p := range files {
		n := Network{Path: p}
		text, own := sections(h, p)
		n.Own = own
		dropIns, err := unitFiles(h, path.Base(p)+".d/*.conf")
		if err != nil {
			return nil, err
		}
		for _, dropIn := range dropIns {
			more, _ := sections(h, dropIn)
			text = append(text, more...)
		}
		for _, section := range text {
			n.read(section)
		}
		all = append(all, n)
	}
	return all, nil
}

// read adds what a section says.
func (n *Network) read(section *unit.UnitSection) {
	value := map[string]string{} // the last of each
	for _, e := range section.Entries {
		value[e.Name] = e.Value
		if p, err := netip.ParsePrefix(e.Value); err == nil && e.Name == "Address" {
			n.addresses = append(n.addresses, kernel.Inet{Prefix: p, Origin: kernel.OriginStatic})
		}
	}
	switch section.Section {
	case "Match":
		lists := map[string]*string{"Name": &n.Names, "MACAddress": &n.MACs, "PermanentMACAddress": &n.MACs, "Kind": &n.Kinds, "Type": &n.Types}
		for _, e := range section.Entries { // Later lines append, and an empty one starts anew.
			if list := lists[e.Name]; list == nil {
				n.Others = n.Others || e.Value != ""
			} else if *list = strings.TrimSpace(*list + " " + e.Value); e.Value == "" {
				*list = ""
			}
		}
	case "Link":
		if v, ok := value["Unmanaged"]; ok {
			n.Unmanaged = slices.Contains([]string{"1", "yes", "true", "on", "y", "t"}, strings.ToLower(v))
		}
	case "Network", "Route":
		via, _ := netip.ParseAddr(value["Gateway"])
		to, _ := netip.ParsePrefix(value["Destination"])
		table, metric := cmp.Or(value["Table"], "main"), 0
		if section.Section == "Route" {
			metric, _ = strconv.Atoi(value["Metric"])
		}
		isDefault := to.IsValid() && to.Bits() == 0 && to.Addr().Is4() || !to.IsValid() && via.Is4()
		if isDefault && (table == "main" || table == "254") && (n.Default4 == nil || *n.Default4 > metric) {
			n.Default4 = &metric
		}
	}
}

// Selects reports whether the file is for a link, as far as its name, its MAC address and its kind tell; sure is false where
// other things decide, and for a MAC address or a kind that is not known. A file that is for any link is for none, says
// networkd.
func (n Network) Selects(l kernel.Link) (is, sure bool) {
	kind, device := kernel.Link{Name: l.Kind}, kernel.Link{Name: "ether"}
	switch l.Kind {
	case "ip6tnl":
		device.Name = "tunnel6"
	case "bond", "bridge", "vlan":
		device = kind
	}
	switch {
	case n.Names == "" && n.MACs == "" && n.Kinds == "" && n.Types == "" && !n.Others,
		n.Names != "" && !l.Matches(n.Names),
		n.MACs != "" && l.MAC != "" && !slices.Contains(strings.Fields(strings.ToLower(n.MACs)), strings.ToLower(l.MAC)),
		n.Kinds != "" && l.Kind != "" && !kind.Matches(n.Kinds),
		n.Types != "" && !device.Matches(n.Types):
		return false, true
	}
	sure = !n.Others && (n.MACs == "" || l.MAC != "") && (n.Kinds == "" || l.Kind != "")
	return n.Names != "" && (n.MACs == "" || l.MAC != "") || sure, sure
}

// Links are those that the file names. Patterns are left out.
func (n Network) Links() (links []kernel.Link) {
	for name := range strings.FieldsSeq(n.Names) {
		if !kernel.IsPattern(name) {
			links = append(links, kernel.Link{Name: name, Addresses: n.addresses, Default4: n.Default4})
		}
	}
	return links
}

// Named maps the links that a .netdev or .network file of others names to the file.
func Named(h *host.Host) (map[string]string, error) {
	named := map[string]string{}
	for _, pattern := range []string{"*.netdev", "*.network"} {
		files, err := unitFiles(h, pattern)
		if err != nil {
			return nil, err
		}
		for _, p := range files {
			all, own := sections(h, p)
			for _, section := range all {
				for _, e := range section.Entries {
					for name := range strings.FieldsSeq(e.Value) {
						if own && e.Name == "Name" && named[name] == "" {
							named[name] = p
						}
					}
				}
			}
		}
	}
	return named, nil
}

// Overridden lists the lines of drop-ins, with their files, that set otherwise what
// one of our drop-ins sets, and are read later.
func Overridden(h *host.Host, ours, text string) (all []string) {
	dir := path.Base(path.Dir(ours))
	files, err := unitFiles(h, dir+"/*.conf")
	if err != nil || !strings.HasSuffix(dir, ".d") {
		return nil
	}
	mine, _ := unit.DeserializeOptions(strings.NewReader(text))
	for _, p := range files {
		if path.Base(p) <= path.Base(ours) {
			continue
		}
		theirs, _ := sections(h, p)
		for _, section := range theirs {
			for _, e := range section.Entries {
				differs := func(o *unit.UnitOption) bool {
					return o.Section == section.Section && o.Name == e.Name && o.Value != e.Value && o.Name != "Address"
				}
				if slices.ContainsFunc(mine, differs) {
					all = append(all, fmt.Sprintf("%s has %s=%s", p, e.Name, e.Value))
				}
			}
		}
	}
	return all
}

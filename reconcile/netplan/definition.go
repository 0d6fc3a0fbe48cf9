package netplan

import (
	"cmp"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/kernel"
)

// A Definition is one of netplan's definitions. netplan merges files by its ID,
// not by the name of the interface.
type Definition struct {
	Section    string         `json:"section"` // ethernets, bridges, bonds, vlans, …
	ID         string         `json:"id"`
	Interfaces []string       `json:"interfaces"` // the links that it configures
	Addresses  []netip.Prefix `json:"addresses,omitempty"`
	Renderer   string         `json:"renderer,omitempty"` // "" is networkd
	Match      Match          `json:"match,omitzero"`
	// Default4 is the lowest metric of its IPv4 default routes in the main table,
	// without those of DHCP; nil: none.
	Default4 *int `json:"default4,omitempty"`
	// AcceptRA is its accept-ra; nil: not set.
	AcceptRA *bool `json:"accept_ra,omitempty"`
	// Late is the last file that has the definition and sorts after ours; "": none.
	Late string `json:"late,omitempty"`
}

// prefix begins the name of every file that netplan's generator writes.
const prefix = "10-netplan-"

// Network is the name of the file that netplan's generator writes for networkd
// from the definition.
func (d Definition) Network() string { return prefix + d.ID + ".network" }

// Generated reports whether a path is of such a file.
func Generated(network string) bool { return strings.HasPrefix(path.Base(network), prefix) }

// A Match is what the file for networkd says of the links that it is for.
type Match struct {
	Names  string `json:"names,omitempty"` // patterns, separated by blanks; "": any
	MAC    string `json:"mac,omitempty"`   // the permanent one; "": any
	Driver string `json:"driver,omitempty"`
}

// Selects reports whether networkd gives the link to this match. It is not sure
// of a driver, nor of the MAC address of a link that no kernel has.
func (m Match) Selects(l kernel.Link) (is, sure bool) {
	// A VLAN, a bridge or a bond has the MAC address of its port, too, but
	// networkd compares permanent addresses, which only hardware has.
	hardware := l.Kind == "device" || l.Kind == ""
	switch {
	case m == Match{}: // networkd ignores the file
		return false, true
	case m.Names != "" && !l.Matches(m.Names):
		return false, true
	case m.MAC != "" && (!hardware || l.MAC != "" && !strings.EqualFold(m.MAC, l.MAC)):
		return false, true
	case m.Names == l.Name && l.MAC == "":
		return true, true
	case m.MAC != "" && l.MAC == "" || m.Driver != "":
		return false, false
	}
	return true, true
}

// Of returns the definition by which networkd configures a link: the one that
// networkd reports, otherwise the first, by the name of its file, that selects the
// link; nil if none does. sure is false if an earlier one may select the link by a
// driver or MAC address that is not known here.
func Of(all []Definition, l kernel.Link) (d *Definition, sure bool) {
	told, _ := url.PathUnescape(path.Base(l.NetworkFile)) // netplan 1.1 escapes, 0.106 does not
	for i, d := range all {
		if d.Network() == told && d.Renderer != NetworkManager {
			return &all[i], true
		}
	}
	for i, d := range all {
		if l.NetworkFile != "" && !Generated(told) && told < d.Network() {
			return nil, true
		}
		if is, sure := d.Match.Selects(l); is || !sure {
			return &all[i], sure
		}
	}
	return nil, true
}

// yamlDefinition is what the program reads of a definition, wherever it is. What
// is not set is "".
type yamlDefinition struct {
	SetName   string
	Match     Match
	HasMatch  bool
	Addresses [][]address // the lists, which are to be appended
	Renderer  string
	inherited string // renderer of the section, where the first file has it above the definition
	Gateway4  bool
	Routes    []route
	AcceptRA  *bool
	// Local and MTU are those of a tunnel.
	Local, MTU string
}

// add merges another part of the same definition, which comes later.
func (d *yamlDefinition) add(id string, physical bool, other yamlDefinition) {
	d.Renderer = cmp.Or(other.Renderer, d.Renderer)
	d.SetName = cmp.Or(other.SetName, d.SetName)
	d.HasMatch = d.HasMatch || other.HasMatch
	d.Match = Match{cmp.Or(other.Match.Names, d.Match.Names), cmp.Or(other.Match.MAC, d.Match.MAC), cmp.Or(other.Match.Driver, d.Match.Driver)}
	// netplan keeps the name even if a later part has a match by other things.
	if !physical || !d.HasMatch {
		d.Match.Names = id
	}
	d.Addresses = append(d.Addresses, other.Addresses...)
	d.Gateway4 = d.Gateway4 || other.Gateway4
	d.Routes = append(d.Routes, other.Routes...)
	d.AcceptRA = cmp.Or(other.AcceptRA, d.AcceptRA)
}

// Definitions merges the files by ID, in the order in which networkd reads what
// netplan's generator makes of them; what NetworkManager is to configure comes
// last. It finds the interfaces of each definition among the links. A name that no
// link has counts as one that will be.
func Definitions(files []File, links []kernel.Link) []Definition {
	merged := map[string]*yamlDefinition{}
	at := map[string]int{}
	var all []Definition
	for _, file := range files {
		for _, d := range file.definitions {
			m, known := merged[d.id]
			if !known {
				m = &yamlDefinition{inherited: d.inherited}
				merged[d.id], at[d.id] = m, len(all)
				all = append(all, Definition{Section: d.section, ID: d.id})
			}
			m.add(d.id, slices.Contains(physical, d.section), d.yamlDefinition)
			if path.Base(file.Path) > path.Base(Path) {
				all[at[d.id]].Late = file.Path
			}
		}
	}
	global := Renderer(files)
	for i, d := range all {
		m := merged[d.ID]
		all[i].Renderer = cmp.Or(m.Renderer, m.inherited, global)
		all[i].Addresses, all[i].Default4, all[i].AcceptRA = m.prefixes(), m.default4(), m.AcceptRA
		all[i].Match = m.Match
		all[i].Match.Names = cmp.Or(m.SetName, m.Match.Names)
	}
	sort.Slice(all, func(i, j int) bool {
		byNM := func(d Definition) int { return strings.Count(d.Renderer, NetworkManager) }
		return cmp.Or(byNM(all[i])-byNM(all[j]), strings.Compare(all[i].Network(), all[j].Network())) < 0
	})
	for _, l := range links {
		if d, sure := Of(all, l); d != nil && sure {
			d.Interfaces = append(d.Interfaces, l.Name)
		}
	}
	for i, d := range all {
		named := func(l kernel.Link) bool { return l.Matches(d.Match.Names) }
		if name := d.Match.Names; name != "" && !kernel.IsPattern(name) && !slices.ContainsFunc(links, named) {
			all[i].Interfaces = []string{name}
		}
	}
	return all
}

// physical are the sections whose links may be selected by other things than the
// ID. netplan makes the links of the others.
var physical = []string{"ethernets", "wifis", "modems", "nm-devices"}

// An address is one of a list, as it stands there.
type address struct {
	text    string
	options bool // a lifetime or a label
}

// prefixes reads the addresses. Invalid ones are left out, and so is what follows
// in its list an address whose options are known already: netplan stops there.
func (d yamlDefinition) prefixes() (all []netip.Prefix) {
	known := map[address]bool{}
	for _, list := range d.Addresses {
		for _, a := range list {
			if a.options && known[a] {
				break
			}
			known[a] = true
			if p, err := netip.ParsePrefix(a.text); err == nil && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// default4 is the lowest metric of the IPv4 default routes; nil: none.
func (d yamlDefinition) default4() *int {
	var l kernel.Link
	if d.Gateway4 {
		l.AddDefault(netlink.FAMILY_V4, 0)
	}
	for _, r := range d.Routes {
		if metric, ok := r.default4(); ok {
			l.AddDefault(netlink.FAMILY_V4, metric)
		}
	}
	return l.Default4
}

package netplan

import (
	"cmp"
	"net/netip"
	"path"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/kernel"
)

// A Definition is one of netplan's definitions. netplan merges files by section
// and ID, not by the name of the interface.
type Definition struct {
	Section    string         `json:"section"` // ethernets, bridges, bonds, vlans, …
	ID         string         `json:"id"`
	Interfaces []string       `json:"interfaces"` // the links that it configures
	Addresses  []netip.Prefix `json:"addresses,omitempty"`
	Renderer   string         `json:"renderer,omitempty"` // "" is networkd
}

// Network is the name of the file that netplan's generator writes for networkd
// from the definition.
func (d Definition) Network() string { return "10-netplan-" + d.ID + ".network" }

// yamlDefinition is what the program reads of a definition. What is not set is "".
type yamlDefinition struct {
	SetName   string
	Match     *match
	Addresses []yaml.Node
	Renderer  string
	inherited string // renderer of the section in the first file that has the definition
	// Local and MTU are those of a tunnel.
	Local, MTU string
}

// A match selects physical links. One by driver alone finds none: the
// definition would select too many links to add an address to.
type match struct{ MAC, Name string }

// merge is m with what other sets. Both may be nil.
func (m *match) merge(other *match) *match {
	if m == nil || other == nil {
		return cmp.Or(m, other)
	}
	return &match{cmp.Or(other.MAC, m.MAC), cmp.Or(other.Name, m.Name)}
}

func (m *match) matches(l kernel.Link) bool {
	if m.MAC == "" && m.Name == "" {
		return false
	}
	byName := m.Name == ""
	if !byName {
		byName, _ = path.Match(m.Name, l.Name)
	}
	// A VLAN, a bridge or a bond has the MAC address of its port, too, but
	// networkd compares permanent addresses, which only hardware has.
	hardware := l.Kind == "device" || l.Kind == ""
	return byName && (m.MAC == "" || hardware && strings.EqualFold(m.MAC, l.MAC))
}

// Definitions merges the files by section and ID, sorted so, and finds the
// interfaces of each definition among the links.
func Definitions(files []File, links []kernel.Link) []Definition {
	type key struct{ section, id string }
	merged := map[key]yamlDefinition{}
	for _, file := range files {
		for _, d := range file.definitions {
			m, known := merged[key{d.section, d.id}]
			if !known {
				m.inherited = d.inherited
			}
			m.Renderer = cmp.Or(d.Renderer, m.Renderer)
			m.SetName = cmp.Or(d.SetName, m.SetName)
			m.Match = m.Match.merge(d.Match)
			m.Addresses = append(m.Addresses, d.Addresses...)
			merged[key{d.section, d.id}] = m
		}
	}
	var all []Definition
	global := Renderer(files)
	for k, m := range merged {
		r := cmp.Or(m.Renderer, m.inherited, global)
		all = append(all, Definition{k.section, k.id, m.interfaces(k.id, links), m.prefixes(), r})
	}
	sort.Slice(all, func(i, j int) bool {
		return all[i].Section+" "+all[i].ID < all[j].Section+" "+all[j].ID
	})
	return all
}

// interfaces are the links that a definition configures: those that its "match"
// selects, otherwise the one that is named like it.
func (d yamlDefinition) interfaces(id string, links []kernel.Link) []string {
	if d.Match == nil {
		return []string{id}
	}
	if d.SetName != "" {
		return []string{d.SetName}
	}
	var found []string
	for _, l := range links {
		if d.Match.matches(l) {
			found = append(found, l.Name)
		}
	}
	return found
}

// prefixes reads the addresses, each of which is a string or a mapping with one
// key. Invalid ones are left out.
func (d yamlDefinition) prefixes() []netip.Prefix {
	var all []netip.Prefix
	for _, n := range d.Addresses {
		text := n.Value
		if n.Kind == yaml.MappingNode && len(n.Content) > 0 {
			text = n.Content[0].Value
		}
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

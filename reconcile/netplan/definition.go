// Package netplan reads everybody's netplan files as netplan does, writes and reads ours, and runs its generator.
package netplan

import (
	"cmp"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// A Definition is a netplan definition: netplan merges files by the ID and
// section of one, not by the interface's name.
type Definition struct {
	Section    string         `json:"section"` // ethernets, bridges, bonds, vlans, …
	ID         string         `json:"id"`
	Interfaces []string       `json:"interfaces"` // the links it configures
	Addresses  []netip.Prefix `json:"addresses,omitempty"`
	Renderer   string         `json:"renderer,omitempty"` // "" is networkd
}

// Network is the name of the file that netplan's generator makes of it for
// networkd.
func (d Definition) Network() string { return "10-netplan-" + d.ID + ".network" }

// Dirs are netplan's, in falling precedence: a file shadows those of
// its name in later ones.
var Dirs = []string{"/run/netplan", "/etc/netplan", "/lib/netplan"}

// A File is what the program reads of a netplan file.
type File struct {
	Path    string
	Network map[string]yaml.Node `yaml:"network"`
}

// yamlDefinition is what the program reads of a definition.
type yamlDefinition struct {
	SetName   string `yaml:"set-name"`
	Match     *match
	Addresses []yaml.Node `yaml:"addresses"`
	Renderer  yaml.Node   `yaml:"renderer"`
	inherited string      // renderer of the section in the file that has it first
	// Local and MTU are a tunnel's. Nodes, because a value that is no number
	// must not hide the rest.
	Local yaml.Node `yaml:"local"`
	MTU   yaml.Node `yaml:"mtu"`
}

// A match selects physical links. By driver alone nothing is found: a
// definition that says no more selects too much to add to.
type match struct {
	MAC  string `yaml:"macaddress"`
	Name string `yaml:"name"`
}

func (m *match) matches(l kernel.Link) bool {
	if m.MAC == "" && m.Name == "" {
		return false
	}
	byName := m.Name == ""
	if !byName {
		byName, _ = path.Match(m.Name, l.Name)
	}
	// A VLAN, a bridge or a bond has the MAC address of its port as well, but
	// networkd compares permanent ones, which only hardware has.
	hardware := l.Kind == "device" || l.Kind == ""
	return byName && (m.MAC == "" || hardware && strings.EqualFold(m.MAC, l.MAC))
}

// Broken is the error of a file that is not a netplan file, or cannot be read as one by anybody.
type Broken struct{ error }

func (b Broken) Unwrap() error { return b.error }

// ReadFiles reads every file but ours, in the order in which netplan merges
// them. The error is a host.Unread, and the other files are returned beside it.
func ReadFiles(h *host.Host) ([]File, error) {
	at := map[string]string{} // base name to path
	var unread host.Unread
	for _, dir := range slices.Backward(Dirs) {
		// To glob, a directory that may not be read is an empty one.
		if d, err := h.Root.Open(host.Local(dir)); err == nil {
			d.Close()
		} else if errors.Is(err, fs.ErrPermission) {
			unread = append(unread, host.FileError{Path: dir, Err: err})
		}
		paths, err := h.Glob(dir + "/*.yaml")
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			at[path.Base(p)] = p
		}
	}
	var files []File
	for _, name := range slices.Sorted(maps.Keys(at)) {
		p := at[name]
		if p == Path {
			continue
		}
		f := File{Path: p}
		data, err := h.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // A link to nowhere, which netplan passes over too.
		}
		if err == nil {
			err = unquoted(yaml.Unmarshal(data, &f))
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			err = Broken{err}
		}
		if err != nil {
			unread = append(unread, host.FileError{Path: p, Err: err})
			continue
		}
		files = append(files, f)
	}
	return files, unread.Err()
}

// lineOf is where yaml.v3 says that a file is bad, which may be one too few.
var lineOf = regexp.MustCompile(`\bline \d+`)

// unquoted is an error of yaml.v3 without what it quotes: netplan's files have
// passwords, of Wi-Fi, 802.1X and modems.
func unquoted(err error) error {
	if err == nil {
		return nil
	}
	near := ""
	if line := lineOf.FindString(err.Error()); line != "" {
		near = ", near " + line
	}
	return advice.Advice{What: "is not a netplan file" + near, Do: `"netplan generate" says what is wrong with it`}
}

// each calls f for every definition of a file.
func (file File) each(f func(section, id string, d yamlDefinition)) {
	for section, node := range file.Network {
		var definitions map[string]yaml.Node
		if node.Decode(&definitions) != nil {
			continue // version, renderer: no definitions.
		}
		for id, n := range definitions {
			d := yamlDefinition{inherited: scalar(definitions["renderer"])}
			if (n.Kind != yaml.ScalarNode || n.Tag == "!!null") && n.Decode(&d) == nil { // A section may have a renderer as well.
				f(section, id, d)
			}
		}
	}
}

// Renderer is what the last file says for whatever does not say its own.
func Renderer(files []File) string {
	says := ""
	for _, file := range files {
		says = cmp.Or(scalar(file.Network["renderer"]), says)
	}
	return says
}

// scalar is the text of a node that is no list or mapping; "" is none.
func scalar(n yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

// Definitions merges the files by section and ID and finds the interfaces of
// each definition among the links.
func Definitions(files []File, links []kernel.Link) []Definition {
	type key struct{ section, id string }
	merged := map[key]yamlDefinition{}
	for _, file := range files {
		file.each(func(section, id string, d yamlDefinition) {
			m, known := merged[key{section, id}]
			if !known {
				m.inherited = d.inherited
			}
			if scalar(d.Renderer) != "" {
				m.Renderer = d.Renderer
			}
			if d.SetName != "" {
				m.SetName = d.SetName
			}
			if d.Match != nil {
				m.Match = d.Match
			}
			m.Addresses = append(m.Addresses, d.Addresses...)
			merged[key{section, id}] = m
		})
	}
	var all []Definition
	rest := Renderer(files)
	for k, m := range merged {
		r := cmp.Or(scalar(m.Renderer), m.inherited, rest)
		all = append(all, Definition{k.section, k.id, m.interfaces(k.id, links), m.prefixes(), r})
	}
	slices.SortFunc(all, func(a, b Definition) int {
		return strings.Compare(a.Section+" "+a.ID, b.Section+" "+b.ID)
	})
	return all
}

// interfaces finds what a definition configures: netplan's "match" selects
// physical links, every other definition names its own.
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

// prefixes reads the addresses, each a string or a mapping of one key.
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

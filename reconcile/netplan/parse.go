package netplan

import (
	"cmp"
	"fmt"
	"iter"
	"regexp"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/advice"
)

// parse reads a file. netplan takes a key that is there twice, which yaml.v3
// refuses to decode: the last scalar wins, lists append and mappings merge. So the
// nodes are walked. The error is of the first key that netplan refuses as well;
// what could be read is returned beside it.
func parse(data []byte) (file File, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return file, unquoted(err)
	}
	p := parser{&file, nil}
	for _, root := range document.Content {
		for key, network := range p.pairs("", root) {
			if key == "network" {
				p.network(network)
			}
		}
	}
	return file, p.err
}

// A parser adds what it finds to a file, and keeps the first error.
type parser struct {
	*File
	err error
}

func (p *parser) network(network *yaml.Node) {
	for key, n := range p.pairs("network", network) {
		switch {
		case key == "renderer":
			p.renderer = cmp.Or(p.scalar("network.renderer", n), p.renderer)
		case key == "openvswitch": // settings, and no definitions
		case n.Kind == yaml.ScalarNode: // version, or a section without definitions
		default:
			p.section(key, n)
		}
	}
}

// section reads the definitions of one section, which may have a renderer beside
// them.
func (p *parser) section(section string, definitions *yaml.Node) {
	at, renderer, from := "network."+section, "", len(p.definitions)
	for id, n := range p.pairs(at, definitions) {
		if id == "renderer" {
			renderer = cmp.Or(p.scalar(at+".renderer", n), renderer)
			continue
		}
		p.definitions = append(p.definitions, namedDefinition{section, id, p.definition(at+"."+id, n)})
	}
	for i := range p.definitions[from:] {
		p.definitions[from+i].inherited = renderer
	}
}

// definition reads what the program needs. The id and link of a VLAN and the ports of a bridge or bond are not read: such a
// link is found by its name, which is the ID of the definition.
func (p *parser) definition(at string, definition *yaml.Node) (d yamlDefinition) {
	for key, n := range p.pairs(at, definition) {
		at := at + "." + key
		switch key {
		case "set-name":
			d.SetName = cmp.Or(p.scalar(at, n), d.SetName)
		case "renderer":
			d.Renderer = cmp.Or(p.scalar(at, n), d.Renderer)
		case "local":
			d.Local = cmp.Or(p.scalar(at, n), d.Local)
		case "mtu":
			d.MTU = cmp.Or(p.scalar(at, n), d.MTU)
		case "match":
			if m := p.match(at, n); !isNull(n) {
				d.Match = d.Match.merge(&m)
			}
		case "addresses":
			for _, a := range p.elements(at, n) {
				d.Addresses = append(d.Addresses, *resolved(a))
			}
		}
	}
	return d
}

func (p *parser) match(at string, n *yaml.Node) (m match) {
	for key, n := range p.pairs(at, n) {
		switch key {
		case "macaddress":
			m.MAC = cmp.Or(p.scalar(at+".macaddress", n), m.MAC)
		case "name":
			m.Name = cmp.Or(p.scalar(at+".name", n), m.Name)
		}
	}
	return m
}

// pairs are the keys and values of a mapping, in the file's order. Nothing has none.
func (p *parser) pairs(at string, n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		if n = resolved(n); isNull(n) {
			return
		}
		if n.Kind != yaml.MappingNode {
			p.refuse(at, n, "a mapping")
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := resolved(n.Content[i])
			if key.Kind != yaml.ScalarNode {
				p.refuse(at, key, "a mapping with names for keys")
				continue
			}
			if !yield(key.Value, resolved(n.Content[i+1])) {
				return
			}
		}
	}
}

func (p *parser) elements(at string, n *yaml.Node) []*yaml.Node {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.refuse(at, n, "a list")
		return nil
	}
	return n.Content
}

// scalar is the text of a node; "" is nothing.
func (p *parser) scalar(at string, n *yaml.Node) string {
	if isNull(n) {
		return ""
	}
	if n.Kind != yaml.ScalarNode {
		p.refuse(at, n, "a single value")
	}
	return n.Value
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// resolved follows an alias (*name) to its anchor (&name).
func resolved(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (p *parser) refuse(at string, n *yaml.Node, must string) {
	if p.err != nil {
		return
	}
	if at != "" {
		at += " "
	}
	p.err = refused(fmt.Sprintf(": %smust be %s, line %d", at, must, n.Line))
}

// lineOf finds the line in an error of yaml.v3, which may be one too low.
var lineOf = regexp.MustCompile(`\bline \d+`)

// unquoted is an error of yaml.v3 without the content that it quotes: netplan's
// files contain passwords of Wi-Fi, 802.1X and modems.
func unquoted(err error) error {
	near := ""
	if line := lineOf.FindString(err.Error()); line != "" {
		near = ", near " + line
	}
	return refused(near)
}

func refused(why string) error {
	return advice.Advice{What: "is not a netplan file" + why, Do: `run "netplan generate" to see what is wrong with it`}
}

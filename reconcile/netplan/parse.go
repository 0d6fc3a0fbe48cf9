package netplan

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/advice"
)

// parse reads a file. netplan takes a key that is there twice, which yaml.v3
// refuses to decode: the last scalar wins, lists append and mappings merge. So the
// nodes are walked. The error is of the first key that netplan refuses as well;
// what could be read is returned beside it.
func parse(data []byte) (file File, err error) {
	var document yaml.Node
	// libyaml reads 1.2 as it reads 1.1; yaml.v3 refuses to.
	data = bytes.Replace(data, []byte("%YAML 1.2\n"), []byte("%YAML 1.1\n"), 1)
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

// section reads the definitions of one section. A renderer among them is that of the
// ones below it.
func (p *parser) section(section string, definitions *yaml.Node) {
	at, renderer := "network."+section, ""
	for id, n := range p.pairs(at, definitions) {
		if id == "renderer" {
			renderer = cmp.Or(p.scalar(at+".renderer", n), renderer)
			continue
		}
		d := namedDefinition{section, id, p.definition(at+"."+id, n)}
		d.inherited = renderer
		p.definitions = append(p.definitions, d)
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
			d.HasMatch = true
			p.match(at, n, &d.Match)
		case "gateway4":
			d.Gateway4 = true
		case "accept-ra":
			yes := slices.Contains([]string{"true", "on", "yes", "y"}, strings.ToLower(p.scalar(at, n)))
			d.AcceptRA = &yes
		case "addresses":
			var list []address
			for _, a := range p.elements(at, n) {
				a = resolved(a)
				options := a.Kind == yaml.MappingNode && len(a.Content) > 0
				if options {
					a = resolved(a.Content[0])
				}
				list = append(list, address{a.Value, options})
			}
			d.Addresses = append(d.Addresses, list)
		case "routes":
			for _, r := range p.elements(at, n) {
				d.Routes = append(d.Routes, p.route(at, r))
			}
		}
	}
	return d
}

func (p *parser) match(at string, n *yaml.Node, m *Match) {
	for key, n := range p.pairs(at, n) {
		switch key {
		case "macaddress":
			m.MAC = cmp.Or(p.scalar(at+".macaddress", n), m.MAC)
		case "name":
			m.Names = cmp.Or(p.scalar(at+".name", n), m.Names)
		case "driver": // or a list of them
			m.Driver = cmp.Or(n.Value, "several")
		}
	}
}

// A route is what the program reads of a route.
type route struct{ to, via, table, metric string }

func (p *parser) route(at string, n *yaml.Node) (r route) {
	for key, n := range p.pairs(at, n) {
		at := at + "." + key
		switch key {
		case "to":
			r.to = p.scalar(at, n)
		case "via":
			r.via = p.scalar(at, n)
		case "table":
			r.table = p.scalar(at, n)
		case "metric":
			r.metric = p.scalar(at, n)
		}
	}
	return r
}

// default4 is the metric of an IPv4 default route in the main table.
func (r route) default4() (metric int, is bool) {
	via, _ := netip.ParseAddr(r.via)
	to, _ := netip.ParsePrefix(r.to)
	table, _ := strconv.Atoi(cmp.Or(r.table, "254"))
	metric, _ = strconv.Atoi(r.metric)
	return metric, table == 254 && (r.to == "default" && via.Is4() || to.IsValid() && to.Bits() == 0 && to.Addr().Is4())
}

// pairs are the keys and values of a mapping, in the file's order. A null value has none.
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

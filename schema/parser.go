package schema

import (
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// A parser walks a YAML tree by a table of keys. It does not use the decoder
// of yaml.v3, which stops early, forgets positions below a custom type, and
// takes an unknown key for nothing.
type parser struct {
	source   *source
	problems Problems
	claims   map[flow]string // the paths that forward each flow
}

// maxProblems bounds what is printed about a file that is not a section at all.
const maxProblems = 100

func (p *parser) report(at spot, path, format string, args ...any) *Problem {
	problem := p.source.problem(at, path, fmt.Sprintf(format, args...))
	switch n := len(p.problems); {
	case n == maxProblems:
		problem.Path, problem.Message = "", "this and more is wrong; only the first hundred problems are shown"
		fallthrough
	case n < maxProblems:
		p.problems = append(p.problems, problem)
		return &p.problems[n]
	}
	return new(Problem)
}

// mustBe reports a value that is not what it must be. The reason is optional.
func (p *parser) mustBe(path string, n *yaml.Node, want, reason string) {
	message := "must be " + want
	if got := describe(n, isSecret(path)); got != "" {
		message += ", not " + got
	}
	if reason != "" {
		message += " (" + reason + ")"
	}
	plain := fold(n.Value)
	switch {
	case reason != "" || isSecret(path):
	case n.ShortTag() == "!!int" && strings.Contains(n.Value, "_"):
		message += " (without the underscore, which only some programs allow in a number)"
	case isText(n) && plain != n.Value && plain == strings.TrimSpace(n.Value):
		message += " (without blanks, " + quote(plain) + ")"
	case isText(n) && plain != n.Value:
		message += " (in ASCII, " + quote(plain) + ")"
	}
	p.report(p.value(path), path, "%s", message)
}

// describe names what a value is. That of a secret is left out.
func describe(n *yaml.Node, secret bool) string {
	switch {
	case isTemplate(n):
		return unfilled
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode && len(n.Content) == 0:
		return "an empty list"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "empty"
	case isText(n) && secret:
		return ""
	case isText(n):
		return quote(n.Value)
	case secret:
		return "a value without quotes"
	case !strings.HasPrefix(n.ShortTag(), "!!"):
		return "a value with the tag " + clip(n.ShortTag())
	}
	return clip(n.Value)
}

// has reports whether the file has a key, even with an invalid value.
func (p *parser) has(path string) bool {
	_, ok := p.source.places[path]
	return ok
}

// key is the spot of a key that the file has.
func (p *parser) key(path string) spot { return p.source.places[path].key }

// value is the spot of a value, or of the mapping in which it is missing.
func (p *parser) value(path string) spot {
	where, _ := p.source.find(path)
	return where
}

// mapping reads the keys of a mapping by their table.
func (p *parser) mapping(path string, n *yaml.Node, keys []Key, want string) {
	if n.Kind != yaml.MappingNode || isTemplate(n) {
		p.mustBe(path, n, want, fullWidth(p.source.lines, n.Line))
		return
	}
	list := entryList{p: p, path: path, seen: map[*yaml.Node]bool{}, names: map[string]*yaml.Node{}}
	list.add(n, false)
	for _, e := range list.entries {
		k := lookup(keys, e.key.Value)
		if k == nil {
			message, meant := unknownKey(keyName(path, e.key.Value), keys)
			p.report(at(e.key), path, "%s", message)
			if meant != "" && !p.has(path+"."+meant) {
				p.source.places[path+"."+meant] = place{at(e.key), at(e.key)} // or it would be missing, too
			}
			continue
		}
		inner, value := path+"."+k.Name, resolve(e.value)
		p.source.places[inner] = place{at(e.key), valueSpot(e.key, value)}
		if isNull(value) {
			p.mustBe(inner, value, k.want(), "")
			continue
		}
		k.value.read(p, inner, value, k.want())
	}
	for _, k := range keys {
		switch inner := path + "." + k.Name; {
		case p.has(inner):
		case k.Required:
			p.report(p.value(path), path, "%q is missing; it must be %s", k.Name, k.want())
		case k.Default != "":
			k.value.read(p, inner, k.defaultNode(), "")
		}
	}
}

// An entry is a key of a mapping and its value.
type entry struct{ key, value *yaml.Node }

// An entryList collects the keys of a mapping, and those of the mappings that
// it merges (<<) unless it has the same itself. Each node is read once, or
// aliases of aliases would take exponential time: the first mapping that has a
// key wins, so that a second reading adds nothing.
type entryList struct {
	p       *parser
	path    string
	entries []entry
	seen    map[*yaml.Node]bool
	names   map[string]*yaml.Node
}

func (l *entryList) add(n *yaml.Node, merged bool) {
	n = resolve(n)
	if l.seen[n] {
		return
	}
	l.seen[n] = true
	var merges []*yaml.Node
	switch {
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if key, value := resolve(n.Content[i]), n.Content[i+1]; isMerge(key) {
				merges = append(merges, value)
			} else {
				l.addKey(key, value, merged)
			}
		}
	case n.Kind == yaml.SequenceNode:
		merges = n.Content
	default:
		l.p.report(at(n), l.path, "<< must be an alias of a mapping such as *defaults, not %s", describe(n, isSecret(l.path)))
	}
	for _, inner := range merges {
		l.add(inner, true)
	}
}

func (l *entryList) addKey(key, value *yaml.Node, merged bool) {
	first := l.names[key.Value]
	switch {
	case key.Kind != yaml.ScalarNode && !merged:
		l.p.report(at(key), l.path, "a key must be one word, as in wan: eth1")
	case key.Kind != yaml.ScalarNode:
	case first == nil:
		l.names[key.Value] = key
		l.entries = append(l.entries, entry{key, value})
	case !merged:
		l.p.report(at(key), l.path, "duplicate key %s, first on line %d", quote(keyName(l.path, key.Value)), first.Line)
	}
}

// items reads the entries of a list, each under a path of its own. It stops
// when no more problems are shown, or aliases of a long list in a long list
// would take quadratic time.
func (p *parser) items(path string, n *yaml.Node, read func(path string, item *yaml.Node)) {
	for i, item := range n.Content {
		if len(p.problems) > maxProblems {
			return
		}
		inner := fmt.Sprintf("%s[%d]", path, i)
		item = resolve(item)
		p.source.places[inner] = place{value: at(item)}
		read(inner, item)
	}
}

// valueSpot is where to point for a value: at the key, if it begins a block on
// the lines below.
func valueSpot(key, value *yaml.Node) spot {
	if value.Kind != yaml.ScalarNode && value.Style&yaml.FlowStyle == 0 || isNull(value) {
		return at(key)
	}
	return at(value)
}

func at(n *yaml.Node) spot { return spot{n.Line, n.Column} }

// resolve follows an alias to where its value can be corrected. YAML has no
// aliases of aliases.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

const unfilled = "a template that was not filled in"

// isTemplate recognizes {{ name }}, which is YAML for a mapping that is the key
// of a mapping.
func isTemplate(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func isText(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" }

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge" }

// A flow is what can be forwarded only once.
type flow struct {
	protocol string
	port     uint16
}

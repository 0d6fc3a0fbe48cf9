package schema

import "gopkg.in/yaml.v3"

// An entry is a key of a mapping and its value.
type entry struct {
	name       string
	key, value *yaml.Node
}

// entries lists what a mapping says: its own keys, and those of the mappings
// that it merges (<<) unless it has the same itself.
func (p *parser) entries(path string, n *yaml.Node) []entry {
	var list []entry
	m := merge{p: p, path: path, done: map[*yaml.Node]bool{n: true}, names: map[string]*yaml.Node{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := resolve(n.Content[i]), n.Content[i+1]
		if isMerge(key) {
			m.queue = append(m.queue, value)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			p.report(at(key), path, "a key is one word, such as wan: eth1")
			continue
		}
		if first, twice := m.names[key.Value]; twice {
			p.reportRival(at(key), at(first), path, "%s is given twice, first on line %d", quote(keyOnly(path, key.Value)), first.Line)
			continue
		}
		m.names[key.Value] = key
		list = append(list, entry{key.Value, key, value})
	}
	for _, value := range m.queue {
		list = m.add(list, value)
	}
	return list
}

// A merge collects what mappings merge. It looks at each only once, or aliases
// of aliases would take exponential time: the first mapping that has a key
// wins, so that a second look adds nothing.
type merge struct {
	p     *parser
	path  string
	queue []*yaml.Node
	done  map[*yaml.Node]bool
	names map[string]*yaml.Node
}

func (m *merge) add(list []entry, n *yaml.Node) []entry {
	n = resolve(n)
	if m.done[n] {
		return list
	}
	m.done[n] = true
	switch n.Kind {
	case yaml.SequenceNode:
		for _, inner := range n.Content {
			list = m.add(list, inner)
		}
	case yaml.MappingNode:
		var nested []*yaml.Node
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := resolve(n.Content[i]), n.Content[i+1]
			if isMerge(key) {
				nested = append(nested, value)
			} else if key.Kind == yaml.ScalarNode && m.names[key.Value] == nil {
				m.names[key.Value] = key
				list = append(list, entry{key.Value, key, value})
			}
		}
		for _, inner := range nested {
			list = m.add(list, inner)
		}
	default:
		m.p.report(at(n), m.path, "<< %s; write an alias of other keys and values, such as <<: *defaults", m.p.describe(m.path, n))
	}
	return list
}

func isMerge(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge" }

package schema

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// items reads the entries of a list, each under a path of its own. It stops
// where nobody is told any more, or aliases of a long list in a long list would
// take quadratic time.
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

// mappings reads a list of mappings. A single one is easily not put in a list.
func (p *parser) mappings(path string, n *yaml.Node, want string, read func(path string, item *yaml.Node)) {
	switch n.Kind {
	case yaml.SequenceNode:
		p.items(path, n, read)
	case yaml.MappingNode:
		p.wrongType(path, n, `them as an entry of a list, after "- "`)
	default:
		p.wrongType(path, n, want)
	}
}

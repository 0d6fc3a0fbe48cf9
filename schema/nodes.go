package schema

import "gopkg.in/yaml.v3"

// wrongType says what a value is and what it should be.
func (p *parser) wrongType(path string, n *yaml.Node, want string) {
	p.report(p.value(path), path, "%s; write %s", describe(n), want)
}

// describe says in words what the value of a path is, without what may be a
// password.
func (p *parser) describe(path string, n *yaml.Node) string {
	if path == "mape.discover" && n.Kind == yaml.ScalarNode && !isNull(n) {
		return "is one value"
	}
	return describe(n)
}

// describe says in words what a value is.
func describe(n *yaml.Node) string {
	switch {
	case isTemplate(n):
		return "is " + unfilled
	case n.Kind == yaml.MappingNode:
		return "has keys of its own"
	case n.Kind == yaml.SequenceNode:
		return "is a list"
	case isNull(n):
		return "has no value"
	}
	switch tag := n.ShortTag(); tag {
	case "!!str":
		return "is the text " + quote(n.Value)
	case "!!int", "!!float":
		return "is the number " + clip(n.Value)
	case "!!bool":
		return "is the truth value " + n.Value
	case "!!timestamp":
		return "is the date " + clip(n.Value)
	default:
		return "has the tag " + clip(tag)
	}
}

// valueSpot is where to point for a value. Of a block that begins below its
// key, the key is what one looks for.
func valueSpot(key, value *yaml.Node) spot {
	if value.Kind != yaml.ScalarNode && value.Style&yaml.FlowStyle == 0 || isNull(value) {
		return at(key)
	}
	return at(value)
}

func at(n *yaml.Node) spot { return spot{n.Line, n.Column} }

// resolve follows an alias to what it stands for: that is where a value can be
// put right. YAML has no aliases of aliases.
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

package schema

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

// Parse reads the mape: section of a YAML file. The error is of type
// [Problems]: everything that is wrong, warnings included.
func Parse(name string, data []byte) (*Config, error) {
	text, at, bad := decodeText(data)
	p := &parser{source: newSource(name, text), claims: map[flow]string{}}
	c := &Config{source: p.source}
	if bad != "" {
		p.report(at, "", "%s", bad)
	} else if docs := p.documents(text); docs != nil {
		p.source.hideSecrets(docs)
		if section := p.section(docs); section != nil {
			p.mapping("mape", section, c.keys(), "a mapping such as {provider: ocn, wan: eth1}")
			p.check(c)
		}
	}
	p.problems.sort()
	if slices.ContainsFunc(p.problems, func(problem Problem) bool { return !problem.Warning }) {
		return nil, p.problems
	}
	c.Warnings = p.problems
	return c, nil
}

// section finds the value of the mape: key. Every other key at the top belongs
// to another program, such as cloud-init or netplan, or holds anchors.
func (p *parser) section(docs []*yaml.Node) *yaml.Node {
	var others []*yaml.Node
	var first, value *yaml.Node
	for _, doc := range docs {
		if doc.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(doc.Content); i += 2 {
			key := resolve(doc.Content[i])
			switch {
			case key.Kind != yaml.ScalarNode:
			case key.Value != "mape":
				others = append(others, key)
			case first == nil:
				first, value = key, resolve(doc.Content[i+1])
			default:
				p.report(at(key), "", `duplicate key "mape", first on line %d`, first.Line)
			}
		}
	}
	if first == nil {
		p.noSection(docs, others)
		return nil
	}
	p.source.places["mape"] = place{at(first), valueSpot(first, value)}
	if isNull(value) {
		p.empty(first, others)
		return nil
	}
	return value
}

// empty reports a mape: without a value. Often the lines below it are not
// indented, or by something that only looks like a space.
func (p *parser) empty(key *yaml.Node, others []*yaml.Node) {
	for _, other := range others {
		if inner := lookup(new(Config).keys(), fold(other.Value)); inner != nil && other.Line > key.Line {
			p.report(at(other), "", `%q is not inside "mape:"; indent it with two ASCII spaces`, inner.Name)
			return
		}
	}
	p.report(at(key), "mape", `is empty; for a section of defaults write "mape: {}"`)
}

// noSection reports that there is no mape: key, at the key that is most likely
// meant to be it, or to be in it.
func (p *parser) noSection(docs, others []*yaml.Node) {
	where, message := spot{1, 1}, `there is no "mape:" section; the smallest is "mape: {}"`
	for _, doc := range docs {
		if doc.Kind != yaml.MappingNode && !isNull(doc) {
			where, message = at(doc), `there is no "mape:" section: the file is `+describe(doc, false)
			break
		}
	}
	hint := func(question string, means func(name string) bool) {
		if i := slices.IndexFunc(others, func(key *yaml.Node) bool { return means(fold(key.Value)) }); i >= 0 {
			where, message = at(others[i]), fmt.Sprintf(`there is no "mape:" section; `+question, quote(others[i].Value))
		}
	}
	hint("does %s belong inside one?", func(name string) bool { return lookup(new(Config).keys(), name) != nil })
	hint("did you mean that with %s?", func(name string) bool { return Nearest(name, []string{"mape"}) != "" })
	p.report(where, "", "%s", message)
}

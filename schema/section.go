package schema

import "gopkg.in/yaml.v3"

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
				p.conflict(at(key), at(first), "", `duplicate key "mape", first on line %d`, first.Line)
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
	for i := len(others) - 1; i >= 0; i-- {
		if lookup(new(Config).keys(), fold(others[i].Value)) != nil {
			where, message = at(others[i]), `there is no "mape:" section; does `+quote(others[i].Value)+` belong inside one?`
		}
	}
	for i := len(others) - 1; i >= 0; i-- {
		if Nearest(others[i].Value, []string{"mape"}) != "" {
			where, message = at(others[i]), `there is no "mape:" section; did you mean that with `+quote(others[i].Value)+`?`
		}
	}
	p.report(where, "", "%s", message).cause = ErrNoSection
}

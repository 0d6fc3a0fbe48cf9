package schema

import (
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// section finds the value of the mape: key. Every other key at the top belongs
// to someone else: cloud-init, netplan, or whoever holds anchors there.
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
				p.reportRival(at(key), at(first), "", `a second "mape:"; the first is on line %d`, first.Line)
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
		if inner := lookup(new(Config).keys(), narrow(other.Value)); inner != nil && other.Line > key.Line {
			message := `%q is not inside "mape:"; indent it with two spaces`
			if inner.name != other.Value {
				message = `%q is not inside "mape:": what stands before it is no ASCII space; indent it with two of those`
			}
			p.report(at(other), "", message, inner.name)
			return
		}
	}
	p.report(at(key), "mape", `has no value; to use the defaults for everything write "mape: {}"`)
}

// noSection reports that there is no mape: key, at the place that is most
// likely meant to be one.
func (p *parser) noSection(docs, others []*yaml.Node) {
	where, message := spot{1, 1}, `there is no "mape:" section; the smallest is "mape: {}"`
	for _, doc := range docs {
		if doc.Kind != yaml.MappingNode && !isNull(doc) {
			where, message = at(doc), `there is no "mape:" section: the file `+describe(doc)
			break
		}
	}
	if content := written(docs); content != nil {
		where, message = at(content), `there is no "mape:" section but in the file that this writes; validate that one`
	}
	if near := firstOf(others, func(name string) bool { return lookup(new(Config).keys(), name) != nil }); near != nil {
		where, message = at(near), `there is no "mape:" section; does `+quote(near.Value)+` belong inside one?`
	}
	if near := firstOf(others, func(name string) bool { return distance(squeeze(name), "mape") <= 1 }); near != nil {
		where, message = at(near), `there is no "mape:" section; did you mean that with `+quote(near.Value)+`?`
	}
	p.report(where, "", "%s", message).cause = ErrNoSection
}

// written finds a section in what cloud-init's write_files puts into files.
func written(docs []*yaml.Node) *yaml.Node {
	var found *yaml.Node
	for _, doc := range docs {
		eachValue(doc, "write_files", func(files *yaml.Node) {
			for _, file := range files.Content {
				eachValue(file, "content", func(content *yaml.Node) {
					if found == nil && sectionLine.MatchString(content.Value) {
						found = content
					}
				})
			}
		})
	}
	return found
}

var sectionLine = regexp.MustCompile(`(?m)^mape:(\s|$)`)

// eachValue goes through the values of a key of a mapping.
func eachValue(n *yaml.Node, key string, do func(*yaml.Node)) {
	n = resolve(n)
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			do(resolve(n.Content[i+1]))
		}
	}
}

func firstOf(keys []*yaml.Node, is func(string) bool) *yaml.Node {
	for _, key := range keys {
		if is(narrow(key.Value)) {
			return key
		}
	}
	return nil
}

// squeeze leaves out how a name is written: MAP-E and map_e are mape.
func squeeze(name string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
}

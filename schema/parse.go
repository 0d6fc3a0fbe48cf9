package schema

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// A parser walks a YAML tree by a table of keys. It does not use the decoder
// of yaml.v3, which stops early, forgets positions below a custom type, and
// takes an unknown key for nothing.
type parser struct {
	source   *source
	problems Problems
}

// maxProblems is where a parser stops counting: whoever has a hundred, has
// given it the wrong file.
const maxProblems = 100

// Parse reads the mape: section of a YAML file. The error is of type
// [Problems]: everything that is wrong, warnings included.
func Parse(name string, data []byte) (*Config, error) {
	c, problems := Salvage(name, data)
	if problems != nil {
		return nil, problems
	}
	return c, nil
}

// Salvage is Parse that returns beside the problems what it could read, so that
// those of later stages can be told at once: [Config.Sound] says of what. It is
// for nothing else.
func Salvage(name string, data []byte) (*Config, Problems) {
	text, bad := decodeText(data)
	p := &parser{source: newSource(name, text)}
	c := &Config{source: p.source, Tunnel: "mape0", WANPrefix: "auto", Backend: "auto", Inbound: "drop", Conntrack: DefaultConntrack}
	if bad != nil {
		p.report(bad.at, "", "%s", bad.message)
	} else if docs := p.documents(text); docs != nil {
		if section := p.section(docs); section != nil {
			p.mapping("mape", section, c.keys())
			p.check(c)
		}
	}
	p.problems.sort()
	if c.Provider == "" && c.Rules == nil && c.Softwire == nil {
		c.Provider = "auto"
	}
	for _, problem := range p.problems {
		if !problem.Warning {
			c.problems = p.problems
			return c, p.problems
		}
	}
	c.Warnings = p.problems
	return c, nil
}

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

// reportRival reports something that contradicts an earlier place.
func (p *parser) reportRival(at, earlier spot, path, format string, args ...any) {
	rival := p.source.problem(earlier, "", "")
	p.report(at, path, format, args...).rival = &rival
}

// has says whether the file says something at the path, be it right or wrong.
func (p *parser) has(path string) bool {
	_, ok := p.source.places[path]
	return ok
}

// key is the spot of a key that the file has.
func (p *parser) key(path string) spot { return p.source.places[path].key }

// value is the spot to point at for a value, or for what is missing in it.
func (p *parser) value(path string) spot {
	where, _ := p.source.find(path)
	return where
}

// mapping reads the keys of a mapping by their table.
func (p *parser) mapping(path string, n *yaml.Node, keys []key) {
	if n.Kind != yaml.MappingNode || isTemplate(n) {
		p.report(p.value(path), path, `%s; write keys and values with ": " between them, as in "%s: …"%s`,
			p.describe(path, n), keys[0].name, fullWidth(p.source.lines, n.Line))
		return
	}
	for _, e := range p.entries(path, n) {
		k := lookup(keys, e.name)
		if k == nil {
			message, meant := unknownKey(keyOnly(path, e.name), keys)
			reported := p.report(at(e.key), path, "%s", message)
			if meant != "" {
				reported.about = path + "." + meant
			}
			if meant != "" && !p.has(path+"."+meant) {
				p.source.places[path+"."+meant] = place{at(e.key), at(e.key)} // or it would be missing, too
			}
			continue
		}
		value := resolve(e.value)
		inner := path + "." + e.name
		p.source.places[inner] = place{at(e.key), valueSpot(e.key, value)}
		if isNull(value) {
			p.report(at(e.key), inner, "has no value; write %s", k.value.want())
			continue
		}
		k.value.read(p, inner, value)
	}
	for _, k := range keys {
		if k.required && !p.has(path+"."+k.name) {
			p.report(p.value(path), path, "%q is missing; write %s", k.name, k.value.want()).about = path + "." + k.name
		}
	}
}

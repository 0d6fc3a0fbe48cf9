package schema

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// A Key is one row of the format. The parser, mape.schema.json, the tables of
// both READMEs and mape-netplan.yaml(5) are made from it.
type Key struct {
	Name     string
	Required bool
	Default  string // what the section has without it, as YAML; "" is nothing
	Example  string // as YAML
	English  string // what it is for, with `code`
	Japanese string

	value value
}

// Kind is the type of the key's value.
func (k Key) Kind() Kind { return k.value.kind() }

// want is what must be written, as errors have it.
func (k Key) want() string {
	want := k.Kind().Want
	if k.Kind().Schema["enum"] != nil {
		return want
	}
	if strings.Contains(want, ", ") {
		want += ","
	}
	return want + " such as " + k.Example
}

// defaultNode is the default as YAML has it.
func (k Key) defaultNode() *yaml.Node {
	docs, err := parseYAML(k.Default)
	if err != nil {
		panic(err) // of a row in keys.go
	}
	return docs[0]
}

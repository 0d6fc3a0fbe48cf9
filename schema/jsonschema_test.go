package schema

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// A node is what the test needs to know of JSON Schema.
type node struct {
	Ref                  string          `json:"$ref"`
	Description          string          `json:"description"`
	Properties           map[string]node `json:"properties"`
	Required             []string        `json:"required"`
	AdditionalProperties *bool           `json:"additionalProperties"`
	Enum                 []string        `json:"enum"`
	Minimum, Maximum     *int
	Default              any
	Examples             []json.RawMessage
	Defs                 map[string]node `json:"$defs"`
}

// TestJSONSchema holds the schema for editors against the table of the parser.
func TestJSONSchema(t *testing.T) {
	var root node
	if err := json.Unmarshal(JSONSchema, &root); err != nil {
		t.Fatal(err)
	}
	tables := map[string][]key{
		"section": new(Config).keys(), "rule": new(Rule).keys(), "softwire": new(Softwire).keys(),
		"discover": new(Discover).keys(), "forward": new(forward).keys(), "conntrack": new(Conntrack).keys(),
	}
	for name, keys := range tables {
		def := root.Defs[name]
		if def.AdditionalProperties == nil || *def.AdditionalProperties {
			t.Errorf("%s: unknown keys are allowed", name)
		}
		if len(def.Properties) != len(keys) {
			t.Errorf("%s: %d properties, the parser knows %d", name, len(def.Properties), len(keys))
		}
		for _, k := range keys {
			compare(t, name+"."+k.name, def.Properties[k.name], k)
			if slices.Contains(def.Required, k.name) != k.required {
				t.Errorf("%s.%s: required is not %v", name, k.name, k.required)
			}
		}
	}
	for _, example := range root.Examples {
		if _, err := Parse("example", example); err != nil {
			t.Error(err)
		}
	}
}

// compare holds a property against a key. An example of the one must be good
// for the other.
func compare(t *testing.T, path string, property node, k key) {
	if property.Description == "" || len(property.Examples) == 0 {
		t.Errorf("%s: no description or no example", path)
	}
	switch v := k.value.(type) {
	case word:
		if !slices.Equal(property.Enum, v.enum) {
			t.Errorf("%s: enum %v, the parser knows %v", path, property.Enum, v.enum)
		}
	case number:
		if property.Minimum == nil || property.Maximum == nil || *property.Minimum != v.min || *property.Maximum != v.max {
			t.Errorf("%s: not from %d to %d", path, v.min, v.max)
		}
	case duration:
		for _, bound := range []string{v.demands, short(v.min), short(v.max)} {
			if !strings.Contains(property.Description, bound) {
				t.Errorf("%s: the description does not say %s", path, bound)
			}
		}
	}
	for _, example := range property.Examples {
		docs, err := parseYAML(strings.NewReader(string(example)))
		if err != nil {
			t.Fatal(err)
		}
		p := &parser{source: newSource("example", string(example))}
		k.value.read(p, path, docs[0])
		if p.problems != nil {
			t.Errorf("%s: %v", path, p.problems)
		}
	}
}

// TestJSONSchemaDefaults compares what the schema calls default with what an
// empty section is.
func TestJSONSchemaDefaults(t *testing.T) {
	var root node
	if err := json.Unmarshal(JSONSchema, &root); err != nil {
		t.Fatal(err)
	}
	c, err := Parse("empty", []byte("mape: {}"))
	if err != nil {
		t.Fatal(err)
	}
	section := root.Defs["section"].Properties
	got := map[string]any{"provider": c.Provider, "prefix": "auto", "wan-prefix": c.WANPrefix, "tunnel": c.Tunnel, "backend": c.Backend, "inbound": c.Inbound}
	for name, property := range section {
		if property.Default != got[name] {
			t.Errorf("%s: default %v, the parser's is %v", name, property.Default, got[name])
		}
	}
	if c.Prefix.IsValid() {
		t.Errorf("prefix %v, want none", c.Prefix)
	}
	offset := root.Defs["rule"].Properties["psid-offset"].Default
	if offset != float64(defaultPSIDOffset) {
		t.Errorf("psid-offset: default %v, the parser's is %v", offset, defaultPSIDOffset)
	}
	if protocol := root.Defs["forward"].Properties["protocol"].Default; protocol != "both" {
		t.Errorf("protocol: default %v, the parser's is both", protocol)
	}
	for _, k := range c.Conntrack.keys() {
		property := root.Defs["conntrack"].Properties[k.name]
		if v, ok := k.value.(duration); ok && property.Default != short(*v.dst) {
			t.Errorf("%s: default %v, the parser's is %s", k.name, property.Default, short(*v.dst))
		}
	}
}

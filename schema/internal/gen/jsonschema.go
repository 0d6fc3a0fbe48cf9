package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"

	"mape-netplan/schema"
)

type object = map[string]any

type array = []any

// jsonSchema describes a file with a mape: section to editors, as JSON Schema
// 2020-12.
func jsonSchema() ([]byte, error) {
	defs := object{
		"interface": object{"type": "string", "minLength": 1, "maxLength": 15, "pattern": `^[^\s/:%*?@\["'\\]+$`},
		"ports":     object{"type": array{"integer", "string"}, "minimum": 1, "maximum": 65535, "pattern": `^[1-9][0-9]*(-[1-9][0-9]*)?$`},
		"server":    object{"type": "string", "pattern": `^[0-9]+(\.[0-9]+){3}(:[0-9]+)?$`},
		"time":      object{"type": "string", "minLength": 2, "pattern": `^([0-9]+d)?([0-9]+(\.[0-9]+)?(h|m|s|ms))*$`},
	}
	for _, t := range schema.Tables() {
		def, err := definition(t)
		if err != nil {
			return nil, err
		}
		defs[t.Name] = def
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"$schema":     "https://json-schema.org/draft/2020-12/schema",
		"title":       "mape-netplan",
		"description": "A YAML file with a mape: section, which makes a machine an IPv4 gateway over an IPoE line (MAP-E). Other keys at the top level belong to other programs.",
		"type":        "object",
		"required":    array{"mape"},
		"properties":  object{"mape": object{"$ref": "#/$defs/section"}},
		"$defs":       defs,
	})
	return b.Bytes(), err
}

// together are the conditions on several keys of a mapping.
var together = map[string]object{
	"section": {
		"not": object{"anyOf": array{
			object{"required": array{"provider", "rules"}},
			object{"required": array{"provider", "softwire"}},
			object{"required": array{"rules", "softwire"}},
		}},
		"dependentRequired": object{"br": array{"rules"}},
		"if":                object{"required": array{"discover"}},
		"then": object{
			"not":        object{"anyOf": array{object{"required": array{"rules"}}, object{"required": array{"softwire"}}}},
			"properties": object{"provider": object{"enum": array{"auto", "discover"}}},
		},
	},
	"rule":     {"dependentRequired": object{"psid": array{"psid-len"}}},
	"softwire": {"dependentRequired": object{"psid": array{"psid-len"}}},
}

func definition(t schema.Table) (object, error) {
	def := object{"type": "object", "additionalProperties": false}
	for name, condition := range together[t.Name] {
		def[name] = condition
	}
	properties, required := object{}, array{}
	for _, k := range t.Keys {
		p := object{"description": sentence(k)}
		for name, value := range k.Kind().Schema {
			p[name] = value
		}
		var example, fallback any
		if err := yaml.Unmarshal([]byte(k.Example), &example); err != nil {
			return nil, fmt.Errorf("%s: example: %w", k.Name, err)
		}
		p["examples"] = array{example}
		if k.Default != "" {
			if err := yaml.Unmarshal([]byte(k.Default), &fallback); err != nil {
				return nil, fmt.Errorf("%s: default: %w", k.Name, err)
			}
			p["default"] = fallback
		}
		if k.Required {
			required = append(required, k.Name)
		}
		properties[k.Name] = p
	}
	def["properties"] = properties
	if len(required) > 0 {
		def["required"] = required
	}
	return def, nil
}

// sentence is the description of a key. JSON Schema has no bounds for times.
func sentence(k schema.Key) string {
	s := strings.ReplaceAll(capital(k.English), "`", "") + "."
	if k.Kind().Schema["$ref"] == "#/$defs/time" {
		s += " It must be " + k.Kind().Want + "."
	}
	return s
}

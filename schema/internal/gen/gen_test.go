package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"mape-netplan/schema"
)

// TestGenerated compares the generated files with the rows they are made from.
func TestGenerated(t *testing.T) {
	const root = "../../.."
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from schema/keys.go; run \"go generate ./schema\"", name)
		}
	}
}

// TestExamples holds that what editors accept for a key includes its example
// and its default.
func TestExamples(t *testing.T) {
	for _, table := range schema.Tables() {
		def, err := definition(table)
		if err != nil {
			t.Fatal(err)
		}
		for name, p := range def["properties"].(object) {
			p := p.(object)
			values := p["examples"].(array)
			if fallback, ok := p["default"]; ok {
				values = append(values, fallback)
			}
			for _, v := range values {
				if err := accepts(p, v); err != nil {
					t.Errorf("%s.%s: %v: %v", table.Name, name, v, err)
				}
			}
		}
	}
}

// accepts is as much of JSON Schema as the keys' own keywords need.
func accepts(p object, v any) error {
	if enum, ok := p["enum"].([]string); ok && !slices.Contains(enum, fmt.Sprint(v)) {
		return fmt.Errorf("is not in %v", enum)
	}
	if pattern, ok := p["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(fmt.Sprint(v)) {
		return fmt.Errorf("does not match %s", pattern)
	}
	least, bounded := p["minimum"].(int)
	if i, ok := v.(int); bounded && (!ok || i < least || i > p["maximum"].(int)) {
		return fmt.Errorf("is not from %d to %d", least, p["maximum"])
	}
	if kind, ok := p["type"].(string); ok && kind != map[reflect.Kind]string{
		reflect.String: "string", reflect.Int: "integer", reflect.Slice: "array", reflect.Map: "object"}[reflect.ValueOf(v).Kind()] {
		return fmt.Errorf("is not of the type %s", kind)
	}
	return nil
}

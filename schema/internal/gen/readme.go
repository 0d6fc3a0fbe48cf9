package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"mape-netplan/schema"
)

// words are those of a README's language.
type words struct {
	header, required string
	table            func(schema.Table) string // what its keys are called
	kind             func(schema.Kind) string
	meaning          func(schema.Key) string
}

var (
	english = words{"type | default | meaning", "required",
		func(t schema.Table) string { return t.English },
		func(k schema.Kind) string { return k.English },
		func(k schema.Key) string { return k.English }}
	japanese = words{"型 | 既定値 | 意味", "必須",
		func(t schema.Table) string { return t.Japanese },
		func(k schema.Kind) string { return k.Japanese },
		func(k schema.Key) string { return k.Japanese }}
)

// A table stands between markers. That of the section itself has no name.
var marked = regexp.MustCompile(`(?s)(<!-- keys(?: of (\w+))?: generated from schema/keys\.go -->\n).*?(<!-- /keys -->)`)

// replaceTables makes the tables of a README anew. That of the section must be
// in it.
func (w words) replaceTables(text []byte) ([]byte, error) {
	tables := map[string]schema.Table{}
	for _, t := range schema.Tables() {
		tables[t.Name] = t
	}
	found := false
	text = marked.ReplaceAllFunc(text, func(old []byte) []byte {
		m := marked.FindSubmatch(old)
		name := string(m[2])
		if name == "" {
			name, found = "section", true
		}
		return []byte(string(m[1]) + w.markdown(tables[name]) + string(m[3]))
	})
	if !found {
		return nil, errors.New(`there is no "<!-- keys: generated from schema/keys.go -->" with a "<!-- /keys -->" after it`)
	}
	return text, nil
}

func (w words) markdown(t schema.Table) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | %s |\n|---|---|---|---|\n", w.table(t), w.header)
	for _, k := range t.Keys {
		fallback := ""
		switch {
		case k.Required:
			fallback = w.required
		case k.Default != "":
			fallback = "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", k.Name, w.kind(k.Kind()), fallback, w.meaning(k))
	}
	return b.String()
}

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
	header, fallback, of string
	comma, end           string // between the keys of a mapping, and where the first sentence ends
	kind                 func(schema.Kind) string
	meaning              func(schema.Key) string
}

var (
	english = words{"| key | value | meaning |", "; default ", "%s of %s", ", ", `[.:;] `,
		func(k schema.Kind) string { return k.English },
		func(k schema.Key) string { return k.English }}
	japanese = words{"| キー | 値 | 意味 |", "。既定値は ", "%[2]s の%[1]s", "、", `。`,
		func(k schema.Kind) string { return k.Japanese },
		func(k schema.Key) string { return k.Japanese }}
)

// The table stands between markers.
var marked = regexp.MustCompile(`(?s)(<!-- keys: generated from schema/keys\.go -->\n).*?(<!-- /keys -->)`)

// replaceTable makes the table of a README anew.
func (w words) replaceTable(text []byte) ([]byte, error) {
	if !marked.Match(text) {
		return nil, errors.New(`there is no "<!-- keys: generated from schema/keys.go -->" with a "<!-- /keys -->" after it`)
	}
	return marked.ReplaceAllFunc(text, func(old []byte) []byte {
		m := marked.FindSubmatch(old)
		return []byte(string(m[1]) + w.markdown() + string(m[2]))
	}), nil
}

// markdown has a row for each key of the section, with the keys that its value
// has and the first words of its meaning. The manual page has the rest.
func (w words) markdown() string {
	tables := map[string]schema.Table{}
	for _, t := range schema.Tables() {
		tables[t.Name] = t
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n|---|---|---|\n", w.header)
	for _, k := range tables["section"].Keys {
		value := w.kind(k.Kind())
		if t, ok := tables[within(k.Kind().Schema)]; ok {
			value = fmt.Sprintf(w.of, value, w.names(tables, t))
		} else if k.Default != "" {
			value += w.fallback + "`" + k.Default + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, value, regexp.MustCompile(w.end).Split(w.meaning(k), 2)[0])
	}
	return b.String()
}

// names are the keys of a table, each with those of its own in parentheses.
func (w words) names(tables map[string]schema.Table, t schema.Table) string {
	var names []string
	for _, k := range t.Keys {
		name := "`" + k.Name + "`"
		if inner, ok := tables[within(k.Kind().Schema)]; ok {
			name += " (" + w.names(tables, inner) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, w.comma)
}

// within is the definition that a value or its entries have in the JSON Schema.
func within(value object) string {
	if items, ok := value["items"].(object); ok {
		value = items
	}
	ref, _ := value["$ref"].(string)
	return strings.TrimPrefix(ref, "#/$defs/")
}

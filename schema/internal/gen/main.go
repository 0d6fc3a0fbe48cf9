// Gen writes the documentation of the keys in schema/keys.go: the JSON Schema,
// the table of both READMEs and the manual page.
//
// "go generate ./schema" runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	const root = ".." // of package schema, where go generate runs it
	files, err := generate(root)
	for name, data := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(root, name), data, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// generate returns the files that are made from the keys, by their paths below
// root. Of the READMEs it replaces the table.
func generate(root string) (map[string][]byte, error) {
	schema, err := jsonSchema()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"schema/mape.schema.json":                  schema,
		"cmd/mape-netplan/man/mape-netplan.yaml.5": manualPage(),
	}
	for name, words := range map[string]words{"README.md": english, "README.ja.md": japanese} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if files[name], err = words.replaceTable(text); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

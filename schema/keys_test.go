package schema

import "testing"

// TestKeys holds that each row is complete, and that its example and its
// default are what the key takes.
func TestKeys(t *testing.T) {
	for _, table := range Tables() {
		for _, k := range table.Keys {
			path := table.Name + "." + k.Name
			kind := k.Kind()
			if k.Example == "" || k.English == "" || k.Japanese == "" || kind.Want == "" || kind.English == "" || kind.Japanese == "" || kind.Schema == nil {
				t.Errorf("%s lacks something: %+v, %+v", path, k, kind)
			}
			if k.Required && k.Default != "" {
				t.Errorf("%s is required and has a default", path)
			}
			for _, text := range []string{k.Example, k.Default} {
				if text == "" {
					continue
				}
				docs, err := parseYAML(text)
				if err != nil {
					t.Fatal(path, err)
				}
				p := &parser{source: newSource("row", text), claims: map[flow]string{}}
				k.value.read(p, path, docs[0], k.want())
				if p.problems != nil {
					t.Errorf("%s: %v", path, p.problems)
				}
			}
		}
	}
}

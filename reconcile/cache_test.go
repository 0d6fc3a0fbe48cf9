package reconcile

import (
	"path"
	"strings"
	"testing"
)

// TestCache: it goes with everything else, comes back with a rollback, and is no danger when it is damaged.
func TestCache(t *testing.T) {
	d := newDiscovering(t)
	d.TXT("v=v6mig-1 url=" + d.Good(offer) + "/ t=b")
	d.await("{provider: discover}")
	whole := d.file()
	facts, err := Gather(d.h)
	if err != nil {
		t.Fatal(err)
	}
	g, err := resolve(sectionOf(t, "{provider: discover}"), facts)
	if err != nil {
		t.Fatal(err)
	}
	if caches := cachesOf(Compile(g, facts)); len(caches) != 0 {
		t.Errorf("%v", caches)
	}
	ocn, err := resolve(sectionOf(t, `{provider: ocn, prefix: "2400:4050:5c71:af00::/56"}`), facts)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]Resource{"remove": cachesOf(Compile(nil, facts)), "another provider": cachesOf(Compile(ocn, facts))} {
		changes, err := Converge(t.Context(), d.h, want)
		if err != nil || len(changes) != 1 || d.file() != "" {
			t.Fatalf("%s: %v, %v, file %q", name, changes, err, d.file())
		}
		if _, err := d.root.Stat(local(path.Dir(cachePath))); err == nil {
			t.Errorf("%s: its directory stays", name)
		}
		d.restart()
		if got := d.run.latest(d.h.cached()); got != nil {
			t.Errorf("%s: %+v is still known", name, got)
		}
		if _, err := rollback(d.h, nil, changes); err != nil || d.file() != whole {
			t.Errorf("%s: %v, file %q", name, err, d.file())
		}
	}
	for text, want := range map[string]string{
		"":                   "unexpected end of JSON input",
		"null":               "it says nothing of the line",
		`{"reply":null}`:     "it says nothing of the line",
		"nonsense":           "invalid character 'o' in literal null (expecting 'u')",
		whole[:len(whole)/2]: "unexpected end of JSON input",
		strings.Replace(whole, "2400:db8::/40", "fe80::/40", 1): "map_e.rules[0]: ipv6 fe80::/40 is no prefix of a line, fe80:: being a link-local address: it is the global IPv6 prefix that the provider hands out, such as 2001:db8:12:3400::/56",
	} {
		d.restart()
		if err := d.root.WriteFile(local(cachePath), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := d.run.latest(d.h.cached())
		if got == nil || got.Problem != "what it said before cannot be read: "+cachePath+": "+want {
			t.Errorf("%q: %+v", text, got)
		}
		d.want("damaged", d.await("{provider: discover}"), found)
	}
}

func cachesOf(all []Resource) (caches []Resource) {
	for _, r := range all {
		if _, ok := r.(Cache); ok {
			caches = append(caches, r)
		}
	}
	return caches
}

package reconcile_test

import (
	"path"
	"strings"
	"testing"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
)

// TestCache: it goes with everything else, comes back with a rollback, and is no danger when it is damaged.
func TestCache(t *testing.T) {
	d := newDiscovering(t)
	d.TXT("v=v6mig-1 url=" + d.Good(gatewaytest.Offer) + "/ t=b")
	d.await("{provider: discover}")
	whole := d.file()
	facts, err := facts.Gather(d.h)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, "{provider: discover}"), facts)
	if err != nil {
		t.Fatal(err)
	}
	if caches := cachesOf(gateway.Compile(g, facts)); len(caches) != 0 {
		t.Errorf("%v", caches)
	}
	ocn, err := gatewaytest.Resolve(gatewaytest.SectionOf(t, `{provider: ocn, prefix: "2400:4050:5c71:af00::/56"}`), facts)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]engine.Resource{"remove": cachesOf(gateway.Compile(nil, facts)), "another provider": cachesOf(gateway.Compile(ocn, facts))} {
		changes, err := engine.Converge(t.Context(), d.h, want)
		if err != nil || len(changes) != 1 || d.file() != "" {
			t.Fatalf("%s: %v, %v, file %q", name, changes, err, d.file())
		}
		if _, err := d.root.Stat(host.Local(path.Dir(discovery.CachePath))); err == nil {
			t.Errorf("%s: its directory stays", name)
		}
		d.restart()
		if got := d.run.Latest(discovery.Cached(d.h)); got != nil {
			t.Errorf("%s: %+v is still known", name, got)
		}
		if _, err := engine.Rollback(d.h, nil, changes); err != nil || d.file() != whole {
			t.Errorf("%s: %v, file %q", name, err, d.file())
		}
	}
	for text, want := range map[string]string{
		"":                   "unexpected end of JSON input",
		"null":               "it says nothing of the line",
		`{"reply":null}`:     "it says nothing of the line",
		"nonsense":           "invalid character 'o' in literal null (expecting 'u')",
		whole[:len(whole)/2]: "unexpected end of JSON input",
		strings.Replace(whole, "2400:db8::/40", "fe80::/40", 1): "map_e.rules[0]: ipv6 fe80::/40 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: fe80:: is a link-local address",
	} {
		d.restart()
		if err := d.root.WriteFile(host.Local(discovery.CachePath), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := d.run.Latest(discovery.Cached(d.h))
		if got == nil || got.Problem != "what it said before cannot be read: "+discovery.CachePath+": "+want {
			t.Errorf("%q: %+v", text, got)
		}
		d.want("damaged", d.await("{provider: discover}"), found)
	}
}

func cachesOf(all []engine.Resource) (caches []engine.Resource) {
	for _, r := range all {
		if _, ok := r.(discovery.Cache); ok {
			caches = append(caches, r)
		}
	}
	return caches
}

package reconcile_test

import (
	"errors"
	"os"
	"path"
	"slices"
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
		`{"withdrawn":true}`: "it says nothing of the line",
		strings.Replace(whole, "{", `{"withdrawn": true, `, 1): "it has rules and has withdrawn them",
		"nonsense":           "invalid character 'o' in literal null (expecting 'u')",
		whole[:len(whole)/2]: "unexpected end of JSON input",
		strings.Replace(whole, "2400:db8::/40", "fe80::/40", 1): "map_e.rules[0]: ipv6 fe80::/40 must be a global IPv6 prefix of the provider, such as 2001:db8:12:3400::/56: fe80:: is a link-local address",
	} {
		d.restart()
		if err := d.root.WriteFile(host.Local(discovery.CachePath), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := d.run.Latest(discovery.Cached(d.h))
		if got == nil || got.Problem != "the last answer cannot be read: "+discovery.CachePath+": "+want {
			t.Errorf("%q: %+v", text, got)
		}
		d.want("damaged", d.await("{provider: discover}"), found)
	}
}

// TestCacheNoFile: what is in the place of the cache or of its directory is not ours. It stays, and keeps nothing from being
// read, made or removed.
func TestCacheNoFile(t *testing.T) {
	const file = discovery.CachePath
	for what, put := range map[string]func(root *os.Root) error{
		"a directory":              func(root *os.Root) error { return root.MkdirAll(host.Local(file), 0o755) },
		"a file for its directory": func(root *os.Root) error { return root.WriteFile(host.Local(path.Dir(file)), nil, 0o600) },
		"a loop for its directory": func(root *os.Root) error { return root.Symlink("mape-netplan", host.Local(path.Dir(file))) },
		"a link in its place": func(root *os.Root) error {
			return errors.Join(root.Mkdir(host.Local(path.Dir(file)), 0o755), root.Symlink("x", host.Local(file)))
		},
	} {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		h := &host.Host{Root: root}
		if err := errors.Join(root.MkdirAll("var/lib", 0o755), put(root)); err != nil {
			t.Fatal(err)
		}
		f, err := facts.Gather(h)
		if what != "a link in its place" && (f.Discovered == nil || !strings.HasPrefix(f.Discovered.Problem, "the last answer cannot be read: ")) || err != nil {
			t.Errorf("%s: %+v, %v", what, f.Discovered, err)
		}
		f.Discovered = &discovery.Discovery{Problem: "x"}
		caches := cachesOf(gateway.Compile(nil, f))
		if changes, err := engine.Converge(t.Context(), h, caches); len(caches) != 1 || len(changes) > 0 || err != nil {
			t.Errorf("%s: %d caches, %v, %v", what, len(caches), changes, err)
		}
		if err := (discovery.Cache{}).Write(t.Context(), h); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		left := path.Dir(file)
		if what == "a directory" || what == "a link in its place" {
			left = file
		}
		if _, err := root.Lstat(host.Local(left)); err != nil {
			t.Errorf("%s: it is gone", what)
		}
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

// TestCacheUnkept: a file system that takes no file, as when it is full or read-only, costs a warning and not the gateway.
func TestCacheUnkept(t *testing.T) {
	d := newDiscovering(t)
	d.TXT("v=v6mig-1 url=" + d.Good(gatewaytest.Offer) + "/ t=b")
	// Not even root writes a file into a file.
	if err := errors.Join(d.root.MkdirAll("var/lib", 0o755), d.root.WriteFile(host.Local(path.Dir(discovery.CachePath)), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	aim, _, err := d.run.Await(t.Context(), gatewaytest.SectionOf(t, "{provider: discover}"), func(error) {})
	if err != nil || aim.Gateway == nil {
		t.Fatalf("%+v, %v", aim, err)
	}
	warned := func(text string) bool {
		return strings.HasPrefix(text, discovery.ErrUnkept.Error()+": "+discovery.CachePath+": ")
	}
	if !slices.ContainsFunc(aim.Gateway.Warnings, warned) {
		t.Errorf("%q", aim.Gateway.Warnings)
	}
}

package reconcile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAskDUID: by which DUID a link asks whose file does not say so yet.
func TestAskDUID(t *testing.T) {
	const vendor = "DUID-EN/Vendor"
	stale := func(keeps bool) []Request {
		return []Request{{"/etc/systemd/network/10-netplan-eth1.network.d/50-mape.conf", keeps}}
	}
	by := func(link string) []Delegation {
		d := delegated(lineA + "::/56")
		d.Link = link
		return []Delegation{d}
	}
	for _, test := range []struct {
		name        string
		kind        string // of the WAN's DUID
		delegations []Delegation
		requests    []Request
		another     bool // line that the machine has
		keeps       bool
	}{
		{name: "nothing delegated", kind: vendor},
		{name: "delegated without us", kind: vendor, delegations: by("eth1"), keeps: true},
		{name: "by a time and a MAC address", kind: "DUID-LLT", delegations: by("eth1"), keeps: true},
		{name: "our file is lost", kind: linkLayer, delegations: by("eth1")},
		{name: "the DUID is not known", delegations: by("eth1")},
		{name: "by another link", kind: vendor, delegations: by("eth0")},
		{name: "by an unknown link, on one line", kind: vendor, delegations: by(""), keeps: true},
		{name: "by an unknown link, on two lines", kind: vendor, delegations: by(""), another: true},
		{name: "by the WAN, on two lines", kind: vendor, delegations: by("eth1"), another: true, keeps: true},
		{name: "by an unknown link, and the DUID is not known", delegations: by("")},
		{name: "the WAN's file was another: ours", delegations: by("eth1"), requests: stale(false)},
		{name: "the WAN's file was another: not ours", delegations: by("eth1"), requests: stale(true), keeps: true},
		{name: "the WAN's file was another, and the line is down", kind: vendor, requests: stale(true), keeps: true},
		{name: "the WAN's file was another, and networkd has asked without ours since", kind: vendor, delegations: by("eth1"), requests: stale(false), keeps: true},
		{name: "the file of another link", requests: []Request{{"/etc/systemd/network/30-lan.network.d/50-mape.conf", true}}},
		{name: "the file says it", kind: vendor, delegations: by("eth1"), requests: append(stale(true), Request{File: askingDropIn})},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := lines()
			f.Links[0].NetworkFile = "/etc/systemd/network/30-lan.network"
			f.Links[1].NetworkFile, f.Links[1].DUIDType = askingWAN, test.kind
			if test.another {
				f.Links[0].Default6 = f.Links[1].Default6
			}
			f.Delegations, f.Owned.Requests = test.delegations, test.requests
			c := sectionOf(t, "{wan: eth1, wan-prefix: pd, backend: networkd, lan: []}")
			asking, err := Asking(c, seek(c, f), f)
			if err != nil || len(asking) != 2 {
				t.Fatalf("%q, %v", asking, err)
			}
			if keeps := !strings.Contains(asking[0].Text(), linkLayerText); keeps != test.keeps {
				t.Errorf("%s\n%s", asking[0].Name(), asking[0].Text())
			}
			checkJSON(t, f)
		})
	}
}

// TestAskAgain: what was delegated by our DUID is asked for by it again, however the file was lost that says so. Since
// then networkd has not come to read its files, or nobody has told it to.
func TestAskAgain(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *Run, *gatewayNS){
		"the file is deleted": func(t *testing.T, _ *Run, g *gatewayNS) {
			if err := os.Remove(filepath.Join(g.dir, askingDropIn)); err != nil {
				t.Fatal(err)
			}
		},
		"remove": func(t *testing.T, _ *Run, g *gatewayNS) {
			for _, r := range Compile(nil, g.gather(t)) {
				switch r.(type) {
				case File, Managed:
					if err := r.Write(t.Context(), g.h); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		"an apply that is rolled back": func(t *testing.T, run *Run, _ *gatewayNS) {
			if _, err := run.Unask(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, d := newAsking(t, true)
			run, c := NewRun(g.h), sectionOf(t, askingSection)
			ask := func() {
				t.Helper()
				f := g.gather(t)
				if err := run.Ask(t.Context(), c, seek(c, f), f); err != nil {
					t.Fatal(err)
				}
			}
			ask()
			if f := g.gather(t); len(f.Delegations) != 1 || f.Links[slices.IndexFunc(f.Links, func(l Link) bool { return l.Name == "eth1" })].DUIDType != linkLayer {
				t.Fatalf("%v of %v", f.Delegations, f.Links)
			}
			d.late = true
			lose(t, run, g)
			if _, err := os.Stat(filepath.Join(g.dir, askingDropIn)); err == nil {
				t.Fatal("the file is there still")
			}
			d.late = false
			ask()
			data, _ := os.ReadFile(filepath.Join(g.dir, askingDropIn))
			if f := g.gather(t); !strings.Contains(string(data), linkLayerText) || len(f.Delegations) != 1 {
				t.Errorf("%v by\n%s", f.Delegations, data)
			}
		})
	}
}

// TestWatchDUID: the watch writes a lost drop-in as it was.
func TestWatchDUID(t *testing.T) {
	g, _ := newAsking(t, true)
	g.run(t, "sh", "-ec", "ip link add mape0 index 77 type bridge; ip link set mape0 up")
	writeFile(t, filepath.Join(g.dir, "run/systemd/netif/links/77"), "NETWORK_FILE="+networkPath+"\n")
	w := startWatch(t, g, askingSection)
	w.says(t, 5*time.Second, "CE ")
	w.rest(t)
	file := filepath.Join(g.dir, askingDropIn)
	was, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(was), linkLayerText) {
		t.Fatalf("%s, %v", was, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.says(t, 5*time.Second, "mended ", askingDropIn)
	w.rest(t)
	if is, err := os.ReadFile(file); string(is) != string(was) {
		t.Errorf("%s, %v; was\n%s", is, err, was)
	}
}

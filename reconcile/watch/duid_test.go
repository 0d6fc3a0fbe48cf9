package watch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// TestAskDUID: by which DUID a link asks whose file does not have one yet.
func TestAskDUID(t *testing.T) {
	const vendor = "DUID-EN/Vendor"
	stale := func(keeps bool) []facts.Request {
		return []facts.Request{{File: "/etc/systemd/network/10-netplan-eth1.network.d/50-mape.conf", KeepsDUID: keeps}}
	}
	by := func(link string) []networkd.Delegation {
		d := gatewaytest.Delegated(gatewaytest.LineA + "::/56")
		d.Link = link
		return []networkd.Delegation{d}
	}
	for _, test := range []struct {
		name        string
		kind        string // of the WAN's DUID
		delegations []networkd.Delegation
		requests    []facts.Request
		another     bool // line that the machine has
		keeps       bool
	}{
		{name: "nothing delegated", kind: vendor},
		{name: "delegated without us", kind: vendor, delegations: by("eth1"), keeps: true},
		{name: "by a time and a MAC address", kind: "DUID-LLT", delegations: by("eth1"), keeps: true},
		{name: "our file is lost", kind: networkd.LinkLayerDUID, delegations: by("eth1")},
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
		{name: "the file of another link", requests: []facts.Request{{File: "/etc/systemd/network/30-lan.network.d/50-mape.conf", KeepsDUID: true}}},
		{name: "the file says it", kind: vendor, delegations: by("eth1"), requests: append(stale(true), facts.Request{File: gatewaytest.AskingDropIn})},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := gatewaytest.Lines()
			f.Links[0].NetworkFile = "/etc/systemd/network/30-lan.network"
			f.Links[1].NetworkFile, f.Links[1].DUIDType = gatewaytest.AskingWAN, test.kind
			if test.another {
				f.Links[0].Default6 = f.Links[1].Default6
			}
			f.Delegations, f.Owned.Requests = test.delegations, test.requests
			c := gatewaytest.SectionOf(t, "{wan: eth1, wan-prefix: pd, backend: networkd, lan: []}")
			asking, err := gateway.PrefixRequest(c, gatewaytest.Seek(c, f), f)
			if err != nil || len(asking) != 2 {
				t.Fatalf("%q, %v", asking, err)
			}
			if keeps := !strings.Contains(asking[0].Text(), networkd.LinkLayerText); keeps != test.keeps {
				t.Errorf("%s\n%s", asking[0].Name(), asking[0].Text())
			}
			gatewaytest.CheckJSON(t, f)
		})
	}
}

// TestAskAgain: what was delegated by our DUID is asked for by it again, however the file was lost that says so, and
// though networkd has not read its files since.
func TestAskAgain(t *testing.T) {
	for name, lose := range map[string]func(*testing.T, *reconcile.Run, *gatewaytest.Machine){
		"the file is deleted": func(t *testing.T, _ *reconcile.Run, g *gatewaytest.Machine) {
			if err := os.Remove(filepath.Join(g.Dir, gatewaytest.AskingDropIn)); err != nil {
				t.Fatal(err)
			}
		},
		"remove": func(t *testing.T, _ *reconcile.Run, g *gatewaytest.Machine) {
			for _, r := range gateway.Compile(nil, g.Gather(t)) {
				switch r.(type) {
				case resource.File, resource.Managed:
					if err := r.Write(t.Context(), g.H); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		"an apply that is rolled back": func(t *testing.T, run *reconcile.Run, _ *gatewaytest.Machine) {
			if _, err := run.RevertRequest(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, d := gatewaytest.NewAsking(t, true)
			run, c := reconcile.NewRun(g.H), gatewaytest.SectionOf(t, gatewaytest.AskingSection)
			ask := func() {
				t.Helper()
				f := g.Gather(t)
				if err := run.RequestPrefix(t.Context(), c, gatewaytest.Seek(c, f), f); err != nil {
					t.Fatal(err)
				}
			}
			ask()
			if f := g.Gather(t); len(f.Delegations) != 1 || f.Links[slices.IndexFunc(f.Links, func(l kernel.Link) bool { return l.Name == "eth1" })].DUIDType != networkd.LinkLayerDUID {
				t.Fatalf("%v of %v", f.Delegations, f.Links)
			}
			d.Late = true
			lose(t, run, g)
			if _, err := os.Stat(filepath.Join(g.Dir, gatewaytest.AskingDropIn)); err == nil {
				t.Fatal("the file is there still")
			}
			d.Late = false
			ask()
			data, _ := os.ReadFile(filepath.Join(g.Dir, gatewaytest.AskingDropIn))
			if f := g.Gather(t); !strings.Contains(string(data), networkd.LinkLayerText) || len(f.Delegations) != 1 {
				t.Errorf("%v by\n%s", f.Delegations, data)
			}
		})
	}
}

// TestWatchDUID: the watch writes a lost drop-in as it was.
func TestWatchDUID(t *testing.T) {
	t.Parallel()
	w := startService(t, newAsking(t), gatewaytest.AskingSection)
	w.says(t, "CE ")
	w.looks(t)
	file := filepath.Join(w.Dir, gatewaytest.AskingDropIn)
	was, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(was), networkd.LinkLayerText) {
		t.Fatalf("%s, %v", was, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	w.says(t, "restored ", gatewaytest.AskingDropIn)
	w.looks(t)
	if is, err := os.ReadFile(file); string(is) != string(was) {
		t.Errorf("%s, %v; was\n%s", is, err, was)
	}
}

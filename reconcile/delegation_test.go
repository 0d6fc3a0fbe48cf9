package reconcile_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// TestAsk: networkd is made to ask before the line is known, once, and what was done for that is taken back or stays.
func TestAsk(t *testing.T) {
	for name, says252 := range map[string]bool{"systemd 252": true, "systemd 257": false} {
		t.Run(name, func(t *testing.T) {
			g, d := gatewaytest.NewAsking(t, says252)
			d.Denies = true
			run, c := reconcile.NewRun(g.H), gatewaytest.SectionOf(t, gatewaytest.AskingSection)
			ask := func() {
				g.Do(func() {
					f := g.Gather(t)
					if f.IPForward == "" {
						t.Error("what ip_forward was before is not known any more")
					}
					if _, err := gatewaytest.Resolve(c, f); !errors.Is(err, line.ErrNotYet) || !strings.HasPrefix(err.Error(), "no prefix has been delegated to eth1 yet, and mape.wan-prefix is pd;") {
						t.Errorf("the error is %v", err)
					}
					if err := run.RequestPrefix(t.Context(), c, gatewaytest.Seek(c, f), f); err != nil {
						t.Fatal(err)
					}
				})
			}
			ask()
			ask()
			if d.Reloads != 1 {
				t.Errorf("networkd was made to read its files %d times", d.Reloads)
			}
			g.Do(func() {
				if _, err := run.RevertRequest(); err != nil {
					t.Fatal(err)
				}
			})
			if _, err := g.H.Root.Stat(host.Local(path.Dir(gatewaytest.AskingDropIn))); err == nil || d.Reloads != 2 {
				t.Errorf("the drop-in is left behind, or networkd reads it still: %d reloads", d.Reloads)
			}
			// The delegation comes, and what makes the gateway wants what asks for it as it is.
			ask()
			f := g.Gather(t)
			f.Delegations = []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineA + "::/56")}
			fitted, err := gatewaytest.Resolve(c, f)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(gateway.Compile(fitted, f), func(r engine.Resource) bool { return !strings.HasPrefix(r.Name(), "networkd eth1") })
			data, _ := os.ReadFile(filepath.Join(g.Dir, gatewaytest.AskingDropIn))
			if !strings.Contains(string(data), networkd.RequestText+networkd.LinkLayerText) || len(want) != 1 {
				t.Fatalf("the drop-in is %q, for %q", data, want)
			}
			// Its text changes, for the CE address is in it too: networkd must read it again.
			if changes := g.Plan(t, want); len(changes) != 1 {
				t.Errorf("plans %q", hosttest.Names(changes))
			}
		})
	}
}

// TestAskKeepsDUID: where a prefix has been delegated without us, the DUID stays that has it, also when the line is
// not there at the next boot.
func TestAskKeepsDUID(t *testing.T) {
	g, d := gatewaytest.NewAsking(t, true)
	c := gatewaytest.SectionOf(t, gatewaytest.AskingSection)
	d.Managed = true
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	asks := func(f facts.Facts) []engine.Resource {
		want := gateway.Compile(gatewaytest.MustResolve(t, gatewaytest.AskingSection, f), f)
		return slices.DeleteFunc(want, func(r engine.Resource) bool {
			return !strings.Contains(r.Name(), gatewaytest.AskingDropIn) && r.Name() != "networkd eth1"
		})
	}
	want := asks(g.Gather(t))
	if changes := g.Converge(t, want); len(changes) != 2 {
		t.Errorf("changed %q", hosttest.Names(changes))
	}
	if changes := g.Plan(t, asks(g.Gather(t))); len(changes) > 0 {
		t.Errorf("the next run would change %q", hosttest.Names(changes))
	}
	// At boot the prefix is not there yet.
	g.Exec(t, "ip", "-6", "route", "del", "unreachable", gatewaytest.LineA+"::/56")
	d.Reloads = 0
	before := g.Gather(t)
	if err := reconcile.NewRun(g.H).RequestPrefix(t.Context(), c, gatewaytest.Seek(c, before), before); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(g.Dir, gatewaytest.AskingDropIn))
	if !strings.Contains(string(data), networkd.RequestText) || strings.Contains(string(data), networkd.LinkLayerText) || d.Reloads > 0 {
		t.Errorf("networkd has been made to read %d times\n%s", d.Reloads, data)
	}
}

// TestAskLooksAgain: what was delegated since the machine was looked at is not asked for by another DUID.
func TestAskLooksAgain(t *testing.T) {
	g, d := gatewaytest.NewAsking(t, true)
	before := g.Gather(t)
	d.Managed = true
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Reloads = 0
	g.Do(func() {
		if err := reconcile.NewRun(g.H).RequestPrefix(t.Context(), gatewaytest.SectionOf(t, gatewaytest.AskingSection), gatewaytest.Seek(gatewaytest.SectionOf(t, gatewaytest.AskingSection), before), before); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(filepath.Join(g.Dir, gatewaytest.AskingDropIn)); err == nil || d.Reloads > 0 {
		t.Errorf("asked: %v, %d reloads", err, d.Reloads)
	}
}

// TestAskRemembers leaves the drop-in of an earlier run as it is.
func TestAskRemembers(t *testing.T) {
	f := gatewaytest.Lines()
	f.Links[1].NetworkFile = gatewaytest.AskingWAN
	f.Owned.Addresses = []facts.OwnedAddress{{Link: "eth1", Prefix: netip.MustParsePrefix(gatewaytest.CeA + "/128")}}
	f.Owned.Requests = []facts.Request{{File: gatewaytest.AskingDropIn}}
	c := gatewaytest.SectionOf(t, gatewaytest.AskingSection)
	asking, err := gateway.PrefixRequest(c, gatewaytest.Seek(c, f), f)
	if err != nil {
		t.Fatal(err)
	}
	f.Delegations = []networkd.Delegation{gatewaytest.Delegated(gatewaytest.LineA + "::/56")}
	g, err := gatewaytest.Resolve(c, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range asking {
		same := func(w engine.Resource) bool { return w.Name() == r.Name() && w.Text() == r.Text() }
		if !slices.ContainsFunc(gateway.Compile(g, f), same) {
			t.Errorf("%s\n%s is not what the gateway wants", r.Name(), r.Text())
		}
	}
	if len(asking) != 2 {
		t.Errorf("%d resources ask", len(asking))
	}
	// A section that wants no delegation sends no request; an unknown WAN is waited for.
	if asking, err := gateway.PrefixRequest(gatewaytest.SectionOf(t, "{}"), gatewaytest.Seek(gatewaytest.SectionOf(t, "{}"), f), f); err != nil || asking != nil {
		t.Errorf("%v, %v", asking, err)
	}
	f.Links[1].Default6 = nil
	if _, err := gateway.PrefixRequest(c, gatewaytest.Seek(c, f), f); !errors.Is(err, line.ErrNotYet) {
		t.Error(err)
	}
}

// TestManagedReloads: networkd reads a drop-in again when it came, changed or went, and when its client is not the one
// that it says.
func TestManagedReloads(t *testing.T) {
	for name, says252 := range map[string]bool{"systemd 252": true, "systemd 257": false} {
		t.Run(name, func(t *testing.T) {
			g, d := gatewaytest.NewAsking(t, says252)
			converge := func(want []engine.Resource, reloads int) {
				t.Helper()
				d.Reloads = 0
				g.Converge(t, want)
				if d.Reloads != reloads {
					t.Errorf("networkd was made to read its files %d times, want %d", d.Reloads, reloads)
				}
				if changes := g.Plan(t, want); len(changes) > 0 {
					t.Errorf("left over: %q", hosttest.Names(changes))
				}
			}
			of := func(p gateway.LinkConfig) []engine.Resource {
				p.Link, p.File = "eth1", gatewaytest.AskingWAN
				path, text := p.DropIn()
				return []engine.Resource{resource.File{Path: path, Mode: gateway.PublicMode, Data: text}, p.Managed(path, text)}
			}
			ce := netip.MustParsePrefix(gatewaytest.CeA + "/128")
			converge(of(gateway.LinkConfig{CE: ce}), 1)
			converge(of(gateway.LinkConfig{CE: ce}), 0)
			converge(of(gateway.LinkConfig{CE: ce, Request: true}), 1)
			converge(of(gateway.LinkConfig{CE: netip.MustParsePrefix(gatewaytest.CeB + "/128"), Request: true}), 1)
			hosttest.WriteFile(t, filepath.Join(g.Dir, "run/systemd/netif/links", fmt.Sprint(d.Index)),
				"NETWORK_FILE="+gatewaytest.AskingWAN+"\nNETWORK_FILE_DROPINS=\""+gatewaytest.AskingDropIn+"\"\nDHCP6_CLIENT_DUID=DUID-EN/Vendor:00\n")
			converge(of(gateway.LinkConfig{CE: netip.MustParsePrefix(gatewaytest.CeB + "/128"), Request: true}), 1)
			for _, r := range of(gateway.LinkConfig{CE: ce, Request: true}) {
				g.Do(func() { g.Laws(t, r) })
			}
			// A delegation that is lost is waited for, and nothing else is done about it.
			g.Exec(t, "ip", "-6", "route", "del", "unreachable", gatewaytest.LineA+"::/56")
			d.Reloads = 0
			go func() {
				time.Sleep(300 * time.Millisecond)
				g.Try("ip", "-6", "route", "add", "unreachable", gatewaytest.LineA+"::/56", "proto", "dhcp", "metric", "1024")
			}()
			if changes := g.Converge(t, of(gateway.LinkConfig{CE: ce, Request: true})); len(changes) > 0 || d.Reloads > 0 {
				t.Errorf("changed %q, %d reloads", hosttest.Names(changes), d.Reloads)
			}
			converge([]engine.Resource{resource.File{Path: gatewaytest.AskingDropIn}, resource.Managed{Link: "eth1", File: gatewaytest.AskingDropIn}}, 1)
		})
	}
}

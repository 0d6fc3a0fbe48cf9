package reconcile

import (
	"context"
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
)

// A daemon stands for networkd: what it says of eth1 in its state file is what it has read of the drop-in. 252 says
// nothing of drop-ins there, and releases no lease.
type daemon struct {
	ns      *ns
	dir     string
	says252 bool
	denies  bool   // a prefix
	managed bool   // a router has the M flag: networkd asks without our drop-in as well
	late    bool   // it has not come to what it was told yet
	lease   string // the DUID to which the server has given its only prefix
	reloads int
	index   int
}

const (
	askingWAN    = "/etc/systemd/network/20-wan.network"
	askingDropIn = "/etc/systemd/network/20-wan.network.d/50-mape.conf"
)

func (d *daemon) Reload(context.Context) error {
	d.reloads++
	if d.late {
		return nil
	}
	data, _ := os.ReadFile(filepath.Join(d.dir, askingDropIn))
	text := "NETWORK_FILE=" + askingWAN + "\n"
	if !d.says252 {
		text += `NETWORK_FILE_DROPINS="`
		if len(data) > 0 {
			text += askingDropIn
		}
		text += "\"\n"
	}
	id := "DUID-EN/Vendor:0000ab1112345678"
	d.ns.try("ip", "-6", "route", "del", "unreachable", "2400:4050:5c71:af00::/56")
	if strings.Contains(string(data), "DUIDType=link-layer") {
		id = "DUID-LL:0001bc2411000002"
	}
	asks := d.managed || strings.Contains(string(data), "DHCPv6Client=always")
	if asks && !d.denies && (d.lease == "" || d.lease == id) {
		d.lease = id
		d.ns.try("ip", "-6", "route", "add", "unreachable", "2400:4050:5c71:af00::/56", "proto", "dhcp", "metric", "1024")
	}
	file := filepath.Join(d.dir, "run/systemd/netif/links", fmt.Sprint(d.index))
	return errors.Join(os.MkdirAll(path.Dir(file), 0o755), os.WriteFile(file, []byte(text+"DHCP6_CLIENT_DUID="+id+"\n"), 0o644))
}

func (d *daemon) Describe(context.Context, int) ([]byte, error) { return nil, errors.New("no answer") }

// newAsking is a machine whose WAN is configured by networkd alone.
func newAsking(t *testing.T, says252 bool) (*gatewayNS, *daemon) {
	g := newGateway(t)
	writeFile(t, filepath.Join(g.dir, askingWAN), "[Match]\nName=eth1\n")
	var index int
	g.do(func() {
		link, err := g.h.link("eth1")
		if err != nil {
			t.Fatal(err)
		}
		index = link.Attrs().Index
	})
	d := &daemon{ns: g.ns, dir: g.dir, says252: says252, index: index}
	g.h.Bus = d
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.reloads = 0
	g.run(t, "ip", "address", "add", "240b:10:1234:5600::5/64", "dev", "eth1", "nodad")
	g.run(t, "ip", "route", "add", "default", "via", "fe80::1", "dev", "eth1")
	return g, d
}

const askingSection = "{wan-prefix: pd, backend: networkd, lan: []}"

// TestAsk: networkd is made to ask before the line is known, once, and what was done for that is taken back or stays.
func TestAsk(t *testing.T) {
	for name, says252 := range map[string]bool{"systemd 252": true, "systemd 257": false} {
		t.Run(name, func(t *testing.T) {
			g, d := newAsking(t, says252)
			d.denies = true
			run, c := NewRun(g.h), sectionOf(t, askingSection)
			ask := func() {
				g.do(func() {
					f := g.gather(t)
					if f.IPForward == "" {
						t.Error("what ip_forward was before is not known any more")
					}
					if _, err := resolve(c, f); !errors.Is(err, ErrNotYet) || !strings.HasPrefix(err.Error(), "no prefix has been delegated to eth1 yet, and mape.wan-prefix is pd;") {
						t.Errorf("the error is %v", err)
					}
					if err := run.Ask(t.Context(), c, seek(c, f), f); err != nil {
						t.Fatal(err)
					}
				})
			}
			ask()
			ask()
			if d.reloads != 1 {
				t.Errorf("networkd was made to read its files %d times", d.reloads)
			}
			g.do(func() {
				if _, err := run.Unask(); err != nil {
					t.Fatal(err)
				}
			})
			if _, err := g.h.Root.Stat(local(path.Dir(askingDropIn))); err == nil || d.reloads != 2 {
				t.Errorf("the drop-in is left behind, or networkd reads it still: %d reloads", d.reloads)
			}
			// The delegation comes, and what makes the gateway wants what asks for it as it is.
			ask()
			f := g.gather(t)
			f.Delegations = []Delegation{delegated(lineA + "::/56")}
			gateway, err := resolve(c, f)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.DeleteFunc(Compile(gateway, f), func(r Resource) bool { return !strings.HasPrefix(r.Name(), "networkd eth1") })
			data, _ := os.ReadFile(filepath.Join(g.dir, askingDropIn))
			if !strings.Contains(string(data), askText+linkLayerText) || len(want) != 1 {
				t.Fatalf("the drop-in is %q, for %q", data, want)
			}
			// Its text changes, for the CE address is in it too: networkd must read it again.
			if changes := g.plan(t, want); len(changes) != 1 {
				t.Errorf("plans %q", names(changes))
			}
		})
	}
}

// TestAskKeepsDUID: where a prefix has been delegated without us, the DUID stays that has it, also when the line is
// not there at the next boot.
func TestAskKeepsDUID(t *testing.T) {
	g, d := newAsking(t, true)
	c := sectionOf(t, askingSection)
	d.managed = true
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	asks := func(f Facts) []Resource {
		want := Compile(mustResolve(t, askingSection, f), f)
		return slices.DeleteFunc(want, func(r Resource) bool { return !strings.Contains(r.Name(), askingDropIn) && r.Name() != "networkd eth1" })
	}
	want := asks(g.gather(t))
	if changes := g.converge(t, want); len(changes) != 2 {
		t.Errorf("changed %q", names(changes))
	}
	if changes := g.plan(t, asks(g.gather(t))); len(changes) > 0 {
		t.Errorf("the next run would change %q", names(changes))
	}
	// At boot the prefix is not there yet.
	g.run(t, "ip", "-6", "route", "del", "unreachable", lineA+"::/56")
	d.reloads = 0
	before := g.gather(t)
	if err := NewRun(g.h).Ask(t.Context(), c, seek(c, before), before); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(g.dir, askingDropIn))
	if !strings.Contains(string(data), askText) || strings.Contains(string(data), linkLayerText) || d.reloads > 0 {
		t.Errorf("networkd has been made to read %d times\n%s", d.reloads, data)
	}
}

// TestAskLooksAgain: what was delegated since the machine was looked at is not asked for by another DUID.
func TestAskLooksAgain(t *testing.T) {
	g, d := newAsking(t, true)
	before := g.gather(t)
	d.managed = true
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.reloads = 0
	g.do(func() {
		if err := NewRun(g.h).Ask(t.Context(), sectionOf(t, askingSection), seek(sectionOf(t, askingSection), before), before); err != nil {
			t.Fatal(err)
		}
	})
	if _, err := os.Stat(filepath.Join(g.dir, askingDropIn)); err == nil || d.reloads > 0 {
		t.Errorf("asked: %v, %d reloads", err, d.reloads)
	}
}

// TestAskRemembers leaves the drop-in of an earlier run as it is.
func TestAskRemembers(t *testing.T) {
	f := lines()
	f.Links[1].NetworkFile = askingWAN
	f.Owned.Addresses = []OwnedAddress{{"eth1", netip.MustParsePrefix(ceA + "/128")}}
	f.Owned.Requests = []Request{{File: askingDropIn}}
	c := sectionOf(t, askingSection)
	asking, err := Asking(c, seek(c, f), f)
	if err != nil {
		t.Fatal(err)
	}
	f.Delegations = []Delegation{delegated(lineA + "::/56")}
	g, err := resolve(c, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range asking {
		same := func(w Resource) bool { return w.Name() == r.Name() && w.Text() == r.Text() }
		if !slices.ContainsFunc(Compile(g, f), same) {
			t.Errorf("%s\n%s is not what the gateway wants", r.Name(), r.Text())
		}
	}
	if len(asking) != 2 {
		t.Errorf("%d resources ask", len(asking))
	}
	// Whoever does not want one asks for none, and who does not know the WAN yet waits.
	if asking, err := Asking(sectionOf(t, "{}"), seek(sectionOf(t, "{}"), f), f); err != nil || asking != nil {
		t.Errorf("%v, %v", asking, err)
	}
	f.Links[1].Default6 = nil
	if _, err := Asking(c, seek(c, f), f); !errors.Is(err, ErrNotYet) {
		t.Error(err)
	}
}

// TestManagedReloads: networkd reads a drop-in again when it came, changed or went, and when its client is not the one
// that it says.
func TestManagedReloads(t *testing.T) {
	for name, says252 := range map[string]bool{"systemd 252": true, "systemd 257": false} {
		t.Run(name, func(t *testing.T) {
			g, d := newAsking(t, says252)
			converge := func(want []Resource, reloads int) {
				t.Helper()
				d.reloads = 0
				g.converge(t, want)
				if d.reloads != reloads {
					t.Errorf("networkd was made to read its files %d times, want %d", d.reloads, reloads)
				}
				if changes := g.plan(t, want); len(changes) > 0 {
					t.Errorf("left over: %q", names(changes))
				}
			}
			of := func(p Persist) []Resource {
				p.Link, p.File = "eth1", askingWAN
				path, text := p.dropIn()
				return []Resource{File{path, publicMode, text}, p.managed(path, text)}
			}
			ce := netip.MustParsePrefix(ceA + "/128")
			converge(of(Persist{CE: ce}), 1)
			converge(of(Persist{CE: ce}), 0)
			converge(of(Persist{CE: ce, Ask: true}), 1)
			converge(of(Persist{CE: netip.MustParsePrefix(ceB + "/128"), Ask: true}), 1)
			writeFile(t, filepath.Join(g.dir, "run/systemd/netif/links", fmt.Sprint(d.index)),
				"NETWORK_FILE="+askingWAN+"\nNETWORK_FILE_DROPINS=\""+askingDropIn+"\"\nDHCP6_CLIENT_DUID=DUID-EN/Vendor:00\n")
			converge(of(Persist{CE: netip.MustParsePrefix(ceB + "/128"), Ask: true}), 1)
			for _, r := range of(Persist{CE: ce, Ask: true}) {
				g.do(func() { g.laws(t, r) })
			}
			// A delegation that is lost is waited for, and nothing else is done about it.
			g.run(t, "ip", "-6", "route", "del", "unreachable", lineA+"::/56")
			d.reloads = 0
			go func() {
				time.Sleep(300 * time.Millisecond)
				g.try("ip", "-6", "route", "add", "unreachable", lineA+"::/56", "proto", "dhcp", "metric", "1024")
			}()
			if changes := g.converge(t, of(Persist{CE: ce, Ask: true})); len(changes) > 0 || d.reloads > 0 {
				t.Errorf("changed %q, %d reloads", names(changes), d.reloads)
			}
			converge([]Resource{File{Path: askingDropIn}, Managed{Link: "eth1", File: askingDropIn}}, 1)
		})
	}
}

package resource_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
)

// carrying is a bench on which link=0 takes along what is on the link.
func carrying(values map[string]string) *hosttest.Bench {
	b := hosttest.NewBench(values)
	b.Written = func(write string) {
		if write == "link=" {
			b.Values["filter"], b.Values["route"] = "", ""
		}
	}
	return b
}

// TestRollbackOfTheUnwritten brings back what went with something that was written, as wanted or not, and lets alone what
// did not.
func TestRollbackOfTheUnwritten(t *testing.T) {
	for name, want := range map[string][]string{
		"as wanted":            {"other=1", "link=", "filter=2", "route=up", "last=1"},
		"not as wanted":        {"other=1", "link=", "last=1", "filter=1", "route=down"},
		"to be absent":         {"other=1", "link=", "last=1", "filter=", "route="},
		"written in next turn": {"other=1", "filter=2", "route=up", "link=", "late=1"},
	} {
		b := carrying(map[string]string{"link": "1", "filter": "2", "route": "up", "other": "1"})
		b.Broken["last=1"] = errors.New("no space left")
		b.Forget["late=1"] = 1 << 30
		ctx, cancel := context.WithTimeout(t.Context(), 3*host.Settle)
		changes, err := engine.Converge(ctx, &host.Host{}, b.Want(want...))
		cancel()
		if err == nil || !strings.HasSuffix(err.Error(), "\nevery change was rolled back") || changes != nil {
			t.Errorf("%s: %q, %v", name, hosttest.Texts(changes), err)
		}
		delete(b.Values, "last")
		delete(b.Values, "late")
		if got := fmt.Sprint(b.Values); got != "map[filter:2 link:1 other:1 route:up]" {
			t.Errorf("%s: the machine has %s", name, got)
		}
		if slices.Contains(b.Writes, "other=1") {
			t.Errorf("%s: wrote %q", name, b.Writes)
		}
	}
}

// TestRollbackNamesTheUnwritten names what went and does not come back, and nothing else.
func TestRollbackNamesTheUnwritten(t *testing.T) {
	b := carrying(map[string]string{"link": "1", "filter": "2", "route": "up"})
	b.Broken["last=1"], b.Broken["route=up"] = errors.New("no space left"), errors.New("a rival")
	changes, err := engine.Converge(t.Context(), &host.Host{}, b.Want("link=", "last=1", "filter=", "route="))
	want := "last: no space left\nrolling back: route: a rival: left behind: route (is half)"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if got := hosttest.Texts(changes); !slices.Equal(got, []string{"route: up -> half"}) {
		t.Errorf("what is left is %q", got)
	}
}

// TestRollbackUnread names what cannot be read any more: nothing tells that it is as it was.
func TestRollbackUnread(t *testing.T) {
	h, dir := hosttest.HostOf(t, "-- etc/a/file --\n"+host.Heading+"-- etc/b/file --\n"+host.Heading)
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	b.Written = func(string) {
		if err := errors.Join(os.RemoveAll(dir+"/etc/b"), os.WriteFile(dir+"/etc/b", nil, 0o600)); err != nil {
			t.Error(err)
		}
		b.Written = func(string) {}
	}
	want := append([]engine.Resource{resource.File{Path: "/etc/a/file"}, resource.File{Path: "/etc/b/file"}}, b.Want("last=1")...)
	changes, err := engine.Converge(t.Context(), h, want)
	if err == nil || strings.Contains(err.Error(), "every change") || !strings.HasSuffix(err.Error(), "left behind: file /etc/b/file (is unknown)") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(hosttest.Names(changes), []string{"file /etc/b/file"}) {
		t.Errorf("what is left is %q", hosttest.Names(changes))
	}
}

// A bridge stands in for a Tunnel on a kernel without ip6_tunnel: what is on it goes with it as well.
type bridge struct {
	link string
	up   bool
}

func (b bridge) Name() string { return "tunnel " + b.link }

func (b bridge) Traits() engine.Traits { return engine.Traits{Makes: b.link, Event: engine.LinkEvent} }

func (b bridge) Text() string {
	if !b.up {
		return ""
	}
	return "up\n"
}

func (b bridge) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	link, err := kernel.LinkByName(h, b.link)
	return bridge{b.link, link != nil}, err
}

func (b bridge) Write(_ context.Context, h *host.Host) error {
	link, err := kernel.LinkByName(h, b.link)
	if err != nil || b.up == (link != nil) {
		return err
	}
	if !b.up {
		return h.Net.LinkDel(link)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = b.link, net.HardwareAddr{2, 0, 0, 0, 0, 1} // The kernel would draw one.
	if err := h.Net.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return err
	}
	if link, err = h.Net.LinkByName(b.link); err != nil {
		return err
	}
	return h.Net.LinkSetUp(link)
}

// bridged compiles a section, or with "" a machine without a gateway, for bridges that are taken for tunnels.
func bridged(g *gatewaytest.Machine, t testing.TB, section string) (want []engine.Resource) {
	t.Helper()
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range f.Links {
			if l.Kind == "bridge" {
				f.Links[i].Kind = "ip6tnl"
			}
		}
		var fitted *gateway.Gateway
		if section != "" {
			fitted = gatewaytest.MustResolve(t, section, f)
		}
		want = gateway.Compile(fitted, f)
	})
	for i, r := range want {
		if tunnel, ok := r.(resource.Tunnel); ok {
			want[i] = bridge{tunnel.Link, tunnel.Local.IsValid()}
		}
	}
	return want
}

// texts are of the whole of a list as the machine has it.
func texts(g *gatewaytest.Machine, t *testing.T, want []engine.Resource) string {
	t.Helper()
	var b strings.Builder
	g.Do(func() {
		for _, r := range want {
			live, err := r.Read(t.Context(), g.H)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n%s", r.Name(), live.Text())
		}
	})
	return b.String()
}

// failures end a run somewhere after its first write.
var failures = map[string]func(t *testing.T, g *gatewaytest.Machine, cancel func()) (last func()){
	"interrupted": func(_ *testing.T, _ *gatewaytest.Machine, cancel func()) func() { return cancel },
	"timeout":     func(*testing.T, *gatewaytest.Machine, func()) func() { return nil },
	"read-only": func(t *testing.T, g *gatewaytest.Machine, _ func()) func() {
		dir := g.Dir + "/etc/netplan"
		g.Exec(t, "mount", "--bind", dir, dir)
		t.Cleanup(func() { g.Try("umount", dir) })
		g.Exec(t, "mount", "-o", "remount,bind,ro", dir)
		return func() {}
	},
	"busy": func(t *testing.T, g *gatewaytest.Machine, _ func()) func() {
		file := g.Dir + netplan.Path
		g.Exec(t, "mount", "--bind", file, file) // It cannot be deleted or replaced then, as with chattr +i.
		t.Cleanup(func() { g.Try("umount", file) })
		return func() {}
	},
}

// replacing are sections that take the link of lineSection away, or leave it where it is, and change what is around it.
var replacing = map[string]string{
	"remove":         "",
	"another tunnel": strings.Replace(gatewaytest.LineSection, "{", "{tunnel: ipoe, ", 1),
	"another WAN":    strings.NewReplacer("eth1", "eth0", "eth0", "eth1").Replace(gatewaytest.LineSection),
	"backend":        strings.Replace(gatewaytest.LineSection, "{", "{backend: networkd, ", 1),
}

// TestRollbackOfTheLink lets runs fail that delete the link of a gateway: its route and its filter come back with it.
func TestRollbackOfTheLink(t *testing.T) {
	rollbacks(t, bridged)
}

// rollbacks has every run fail in every way, and the whole of what was looked at is text for text what it was.
func rollbacks(t *testing.T, compile func(g *gatewaytest.Machine, t testing.TB, section string) []engine.Resource) {
	for run, section := range replacing {
		for failure, prepare := range failures {
			t.Run(run+"/"+failure, func(t *testing.T) {
				g := gatewaytest.NewMachine(t)
				g.Converge(t, compile(g, t, gatewaytest.LineSection))
				want := compile(g, t, section)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				b := hosttest.NewBench(map[string]string{})
				if last := prepare(t, g, cancel); last != nil {
					b.Written = func(string) { last() }
				} else {
					b.Forget["last=1"] = 1 << 30 // It never settles.
					ctx, cancel = context.WithTimeout(t.Context(), time.Second)
					defer cancel()
				}
				before, snapshot := texts(g, t, want), g.Snapshot(t)
				if !strings.Contains(before, "route default dev mape0\nscope link\n") || !strings.Contains(before, "mape0/rp_filter\n2\n") {
					t.Fatalf("a list that does not tell of what is on the link:\n%s", before)
				}
				g.Do(func() {
					changes, err := engine.Converge(ctx, g.H, append(slices.Clone(want), b.Want("last=1")...))
					if err == nil || !strings.HasSuffix(err.Error(), "\nevery change was rolled back") || len(changes) > 0 {
						t.Errorf("changed %q: %v", hosttest.Names(changes), err)
					}
				})
				if after := texts(g, t, want); after != before {
					t.Errorf("was\n%s\nis\n%s", before, after)
				}
				gatewaytest.Unchanged(t, snapshot, g.Snapshot(t))
			})
		}
	}
}

// TestRollbackRival names the route that cannot come back because another one has its place meanwhile.
func TestRollbackRival(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Converge(t, bridged(g, t, gatewaytest.LineSection))
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	b.Written = func(write string) {
		if write == "last=1" {
			g.Exec(t, "ip", "route", "add", "default", "via", "192.168.1.1")
		}
	}
	want := append(bridged(g, t, ""), b.Want("last=1")...)
	g.Do(func() {
		changes, err := engine.Converge(t.Context(), g.H, want)
		if !errors.Is(err, resource.ErrRival) || strings.Contains(err.Error(), "every change") ||
			!strings.HasSuffix(err.Error(), ": left behind: route default dev mape0 (absent)") {
			t.Errorf("the error is %v", err)
		}
		if got := hosttest.Texts(changes); !slices.Equal(got, []string{"route default dev mape0: scope link\n -> "}) {
			t.Errorf("what is left is %q", got)
		}
	})
	if out := g.Exec(t, "cat", "/proc/sys/net/ipv4/conf/mape0/rp_filter"); out != "2\n" {
		t.Errorf("the filter is %s", out)
	}
}

// TestRollbackLeavesTheGuard does not say that all is back where what the run did before it converged is not.
func TestRollbackLeavesTheGuard(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	want := g.Compile(t, gatewaytest.LineSection)
	want = slices.DeleteFunc(want, func(r engine.Resource) bool { _, ok := r.(resource.File); return !ok })
	b := hosttest.NewBench(map[string]string{})
	b.Broken["last=1"] = errors.New("no space left")
	b.Written = func(write string) {
		if write == "last=1" {
			g.Exec(t, "ip", "link", "add", "mape0", "type", "bridge") // Only a guard makes that safe.
		}
	}
	g.Do(func() {
		run := reconcile.NewRun(g.H)
		if _, made, err := run.PutGuard(t.Context(), gatewaytest.SectionOf(t, gatewaytest.LineSection)); !made || err != nil {
			t.Fatal(made, err)
		}
		changes, err := run.Converge(t.Context(), append(want, b.Want("last=1")...))
		if err == nil || strings.Contains(err.Error(), "every change") || !strings.Contains(err.Error(), "\ntable ip mape stays") {
			t.Errorf("the error is %v", err)
		}
		if !slices.Equal(hosttest.Names(changes), []string{"table ip mape"}) {
			t.Errorf("what is left is %q", hosttest.Names(changes))
		}
	})
}

// TestUnaskNames names what of asking for a delegation cannot be taken back, once.
func TestUnaskNames(t *testing.T) {
	h, _ := hosttest.HostOf(t, "-- etc/asks/file --\n"+host.Heading)
	b := hosttest.NewBench(map[string]string{"reload": "1"})
	b.Broken["reload="] = errors.New("no answer")
	run := reconcile.NewRun(h)
	run.Requested = []engine.Change{{Before: resource.File{Path: "/etc/asks/file"}, After: resource.File{Path: "/etc/asks/file", Mode: 0o600, Data: host.Heading}}, {Before: b.Want("reload=")[0], After: b.Want("reload=1")[0]}}
	left, err := run.TakeBack(t.Context())
	if err == nil || err.Error() != "rolling back: reload: no answer: left behind: reload (is half)" || !slices.Equal(hosttest.Names(left), []string{"reload"}) {
		t.Errorf("%q is left: %v", hosttest.Names(left), err)
	}
	if h.IsRegular("/etc/asks/file") {
		t.Error("the file is still there")
	}
	if left, err := run.TakeBack(t.Context()); left != nil || err != nil {
		t.Errorf("the second time %q is left: %v", hosttest.Names(left), err)
	}
}

// TestObsoleteOfOthers lets alone what is on an interface of another kind that has the name of a tunnel of ours.
func TestObsoleteOfOthers(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	g.Converge(t, g.StandIn(t))
	var want []engine.Resource
	g.Do(func() {
		f, err := facts.Gather(g.H)
		if err != nil {
			t.Fatal(err)
		}
		want = gateway.Compile(nil, f)
	})
	g.Converge(t, want)
	if out := g.Exec(t, "ip", "route", "show", "default"); !strings.Contains(out, "default dev mape0") {
		t.Errorf("the default route of the bridge is %q", out)
	}
}

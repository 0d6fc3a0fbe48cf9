package resource_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

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
	"timeout": func(_ *testing.T, _ *gatewaytest.Machine, cancel func()) func() {
		written := 0 // It never settles, and the time ends when all has been written again.
		return func() {
			if written++; written == 2 {
				cancel()
			}
		}
	},
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

// A guarded resource looks after each write whether a tunnel is there that the table does not guard.
type guarded struct {
	engine.Resource
	t *testing.T
}

func (r guarded) Read(ctx context.Context, h *host.Host) (engine.Resource, error) {
	live, err := r.Resource.Read(ctx, h)
	return guarded{live, r.t}, err
}

func (r guarded) Write(ctx context.Context, h *host.Host) error {
	err := r.Resource.Write(ctx, h)
	table, e := resource.Table{}.Live(h)
	for _, tunnel := range []string{"mape0", "ipoe"} {
		if link, _ := kernel.LinkByName(h, tunnel); link != nil && (e != nil || !gateway.Guards(table, tunnel)) {
			r.t.Errorf("after writing %s nothing guards %s: %v", r.Name(), tunnel, e)
		}
	}
	return err
}

func (r guarded) Restore(after engine.Resource) (all []engine.Resource) {
	before, ok := r.Resource.(engine.Restorer)
	if !ok {
		return []engine.Resource{r}
	}
	for _, b := range before.Restore(after.(guarded).Resource) {
		all = append(all, guarded{b, r.t})
	}
	return all
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
				t.Parallel()
				g := gatewaytest.NewMachine(t)
				g.Converge(t, compile(g, t, gatewaytest.LineSection))
				want := compile(g, t, section)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				b := hosttest.NewBench(map[string]string{})
				last := prepare(t, g, cancel)
				b.Written = func(string) { last() }
				b.Forget["last=1"] = 1 << 30
				before, snapshot := texts(g, t, want), g.Snapshot(t)
				if !strings.Contains(before, "route default dev mape0\nscope link\n") || !strings.Contains(before, "mape0/rp_filter\n2\n") {
					t.Fatalf("a list that does not tell of what is on the link:\n%s", before)
				}
				var all []engine.Resource
				for _, r := range want {
					all = append(all, guarded{r, t})
				}
				g.Do(func() {
					changes, err := engine.Converge(ctx, g.H, append(all, b.Want("last=1")...))
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

// TestRollbackOfOthers brings back what others have on the tunnel, and names what it cannot.
func TestRollbackOfOthers(t *testing.T) {
	for filter, want := range map[string]string{
		"": "\nevery change was rolled back",
		"tc filter add dev mape0 ingress pref 1 bpf da bytecode '1,6 0 0 4294967295'": "left behind: what others have on mape0 (is address 192.0.0.2/29, route 203.0.113.0/24 table 254 metric 7, route 2001:db8::/32 table 100 metric 1024)",
	} {
		g := gatewaytest.NewMachine(t)
		g.Converge(t, bridged(g, t, gatewaytest.LineSection))
		g.Exec(t, "sh", "-ec", "ip address add 192.0.0.2/29 dev mape0; ip route add 203.0.113.0/24 dev mape0 metric 7; ip route add 2001:db8::/32 dev mape0 table 100; "+filter)
		b := hosttest.NewBench(map[string]string{})
		b.Broken["last=1"] = errors.New("no space left")
		all, before := append(bridged(g, t, ""), b.Want("last=1")...), g.Snapshot(t)
		g.Do(func() {
			_, err := engine.Converge(t.Context(), g.H, all)
			if !errors.Is(err, b.Broken["last=1"]) || !strings.HasSuffix(err.Error(), want) {
				t.Errorf("the error is %v", err)
			}
		})
		if filter == "" {
			gatewaytest.Unchanged(t, before, g.Snapshot(t))
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

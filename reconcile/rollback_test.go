package reconcile

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
)

// carrying is a bench on which link=0 takes along what is on the link.
func carrying(values map[string]string) *bench {
	b := newBench(values)
	b.written = func(write string) {
		if write == "link=" {
			b.values["filter"], b.values["route"] = "", ""
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
		b.broken["last=1"] = errors.New("no space left")
		b.forget["late=1"] = 1 << 30
		ctx, cancel := context.WithTimeout(t.Context(), 3*settle)
		changes, err := Converge(ctx, &Host{}, b.want(want...))
		cancel()
		if err == nil || !strings.HasSuffix(err.Error(), "\nevery change was rolled back") || changes != nil {
			t.Errorf("%s: %q, %v", name, texts(changes), err)
		}
		delete(b.values, "last")
		delete(b.values, "late")
		if got := fmt.Sprint(b.values); got != "map[filter:2 link:1 other:1 route:up]" {
			t.Errorf("%s: the machine has %s", name, got)
		}
		if slices.Contains(b.writes, "other=1") {
			t.Errorf("%s: wrote %q", name, b.writes)
		}
	}
}

// TestRollbackNamesTheUnwritten names what went and does not come back, and nothing else.
func TestRollbackNamesTheUnwritten(t *testing.T) {
	b := carrying(map[string]string{"link": "1", "filter": "2", "route": "up"})
	b.broken["last=1"], b.broken["route=up"] = errors.New("no space left"), errors.New("a rival")
	changes, err := Converge(t.Context(), &Host{}, b.want("link=", "last=1", "filter=", "route="))
	want := "last: no space left\nrolling back: route: a rival: left behind: route (is half)"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if got := texts(changes); !slices.Equal(got, []string{"route: up -> half"}) {
		t.Errorf("what is left is %q", got)
	}
}

// TestRollbackUnread names what cannot be read any more: nothing tells that it is as it was.
func TestRollbackUnread(t *testing.T) {
	h, dir := hostOf(t, "-- etc/a/file --\n"+heading+"-- etc/b/file --\n"+heading)
	b := newBench(map[string]string{})
	b.broken["last=1"] = errors.New("no space left")
	b.written = func(string) {
		if err := errors.Join(os.RemoveAll(dir+"/etc/b"), os.WriteFile(dir+"/etc/b", nil, 0o600)); err != nil {
			t.Error(err)
		}
		b.written = func(string) {}
	}
	want := append([]Resource{File{Path: "/etc/a/file"}, File{Path: "/etc/b/file"}}, b.want("last=1")...)
	changes, err := Converge(t.Context(), h, want)
	if err == nil || strings.Contains(err.Error(), "every change") || !strings.HasSuffix(err.Error(), "left behind: file /etc/b/file (is unknown)") {
		t.Errorf("the error is %v", err)
	}
	if !slices.Equal(names(changes), []string{"file /etc/b/file"}) {
		t.Errorf("what is left is %q", names(changes))
	}
}

// A bridge stands in for a Tunnel on a kernel without ip6_tunnel: what is on it goes with it as well.
type bridge struct {
	link string
	up   bool
}

func (b bridge) Name() string { return "tunnel " + b.link }

func (b bridge) Traits() Traits { return Traits{Makes: b.link, Event: LinkEvent} }

func (b bridge) Text() string {
	if !b.up {
		return ""
	}
	return "up\n"
}

func (b bridge) Read(_ context.Context, h *Host) (Resource, error) {
	link, err := h.link(b.link)
	return bridge{b.link, link != nil}, err
}

func (b bridge) Write(_ context.Context, h *Host) error {
	link, err := h.link(b.link)
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
func (g *gatewayNS) bridged(t testing.TB, section string) (want []Resource) {
	t.Helper()
	g.do(func() {
		f, err := Gather(g.h)
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range f.Links {
			if l.Kind == "bridge" {
				f.Links[i].Kind = "ip6tnl"
			}
		}
		var gateway *Gateway
		if section != "" {
			gateway = mustResolve(t, section, f)
		}
		want = Compile(gateway, f)
	})
	for i, r := range want {
		if tunnel, ok := r.(Tunnel); ok {
			want[i] = bridge{tunnel.Link, tunnel.Local.IsValid()}
		}
	}
	return want
}

// texts are of the whole of a list as the machine has it.
func (g *gatewayNS) texts(t *testing.T, want []Resource) string {
	t.Helper()
	var b strings.Builder
	g.do(func() {
		for _, r := range want {
			live, err := r.Read(t.Context(), g.h)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n%s", r.Name(), live.Text())
		}
	})
	return b.String()
}

// failures end a run somewhere after its first write.
var failures = map[string]func(t *testing.T, g *gatewayNS, cancel func()) (last func()){
	"interrupted": func(_ *testing.T, _ *gatewayNS, cancel func()) func() { return cancel },
	"timeout":     func(*testing.T, *gatewayNS, func()) func() { return nil },
	"read-only": func(t *testing.T, g *gatewayNS, _ func()) func() {
		dir := g.dir + "/etc/netplan"
		g.run(t, "mount", "--bind", dir, dir)
		t.Cleanup(func() { g.try("umount", dir) })
		g.run(t, "mount", "-o", "remount,bind,ro", dir)
		return func() {}
	},
	"busy": func(t *testing.T, g *gatewayNS, _ func()) func() {
		file := g.dir + netplanPath
		g.run(t, "mount", "--bind", file, file) // It cannot be deleted or replaced then, as with chattr +i.
		t.Cleanup(func() { g.try("umount", file) })
		return func() {}
	},
}

// replacing are sections that take the link of lineSection away, or leave it where it is, and change what is around it.
var replacing = map[string]string{
	"remove":         "",
	"another tunnel": strings.Replace(lineSection, "{", "{tunnel: ipoe, ", 1),
	"another WAN":    strings.NewReplacer("eth1", "eth0", "eth0", "eth1").Replace(lineSection),
	"backend":        strings.Replace(lineSection, "{", "{backend: networkd, ", 1),
}

// TestRollbackOfTheLink lets runs fail that delete the link of a gateway: its route and its filter come back with it.
func TestRollbackOfTheLink(t *testing.T) {
	rollbacks(t, (*gatewayNS).bridged)
}

// rollbacks has every run fail in every way, and the whole of what was looked at is text for text what it was.
func rollbacks(t *testing.T, compile func(g *gatewayNS, t testing.TB, section string) []Resource) {
	for run, section := range replacing {
		for failure, prepare := range failures {
			t.Run(run+"/"+failure, func(t *testing.T) {
				g := newGateway(t)
				g.converge(t, compile(g, t, lineSection))
				want := compile(g, t, section)
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				b := newBench(map[string]string{})
				if last := prepare(t, g, cancel); last != nil {
					b.written = func(string) { last() }
				} else {
					b.forget["last=1"] = 1 << 30 // It never settles.
					ctx, cancel = context.WithTimeout(t.Context(), time.Second)
					defer cancel()
				}
				before, snapshot := g.texts(t, want), g.snapshot(t)
				if !strings.Contains(before, "route default dev mape0\nscope link\n") || !strings.Contains(before, "mape0/rp_filter\n2\n") {
					t.Fatalf("a list that does not tell of what is on the link:\n%s", before)
				}
				g.do(func() {
					changes, err := Converge(ctx, g.h, append(slices.Clone(want), b.want("last=1")...))
					if err == nil || !strings.HasSuffix(err.Error(), "\nevery change was rolled back") || len(changes) > 0 {
						t.Errorf("changed %q: %v", names(changes), err)
					}
				})
				if after := g.texts(t, want); after != before {
					t.Errorf("was\n%s\nis\n%s", before, after)
				}
				unchanged(t, snapshot, g.snapshot(t))
			})
		}
	}
}

// TestRollbackRival names the route that cannot come back because another one has its place meanwhile.
func TestRollbackRival(t *testing.T) {
	g := newGateway(t)
	g.converge(t, g.bridged(t, lineSection))
	b := newBench(map[string]string{})
	b.broken["last=1"] = errors.New("no space left")
	b.written = func(write string) {
		if write == "last=1" {
			g.run(t, "ip", "route", "add", "default", "via", "192.168.1.1")
		}
	}
	want := append(g.bridged(t, ""), b.want("last=1")...)
	g.do(func() {
		changes, err := Converge(t.Context(), g.h, want)
		if !errors.Is(err, errRival) || strings.Contains(err.Error(), "every change") ||
			!strings.HasSuffix(err.Error(), ": left behind: route default dev mape0 (absent)") {
			t.Errorf("the error is %v", err)
		}
		if got := texts(changes); !slices.Equal(got, []string{"route default dev mape0: scope link\n -> "}) {
			t.Errorf("what is left is %q", got)
		}
	})
	if out := g.run(t, "cat", "/proc/sys/net/ipv4/conf/mape0/rp_filter"); out != "2\n" {
		t.Errorf("the filter is %s", out)
	}
}

// TestRollbackLeavesTheGuard does not say that all is back where what the run did before it converged is not.
func TestRollbackLeavesTheGuard(t *testing.T) {
	g := newGateway(t)
	want := g.compile(t, lineSection)
	want = slices.DeleteFunc(want, func(r Resource) bool { _, ok := r.(File); return !ok })
	b := newBench(map[string]string{})
	b.broken["last=1"] = errors.New("no space left")
	b.written = func(write string) {
		if write == "last=1" {
			g.run(t, "ip", "link", "add", "mape0", "type", "bridge") // Only a guard makes that safe.
		}
	}
	g.do(func() {
		run := NewRun(g.h)
		if _, made, err := run.PutGuard(t.Context(), sectionOf(t, lineSection)); !made || err != nil {
			t.Fatal(made, err)
		}
		changes, err := run.Converge(t.Context(), append(want, b.want("last=1")...))
		if err == nil || strings.Contains(err.Error(), "every change") || !strings.Contains(err.Error(), "\ntable ip mape stays") {
			t.Errorf("the error is %v", err)
		}
		if !slices.Equal(names(changes), []string{"table ip mape"}) {
			t.Errorf("what is left is %q", names(changes))
		}
	})
}

// TestUnaskNames names what of asking for a delegation cannot be taken back, once.
func TestUnaskNames(t *testing.T) {
	h, _ := hostOf(t, "-- etc/asks/file --\n"+heading)
	b := newBench(map[string]string{"reload": "1"})
	b.broken["reload="] = errors.New("no answer")
	run := NewRun(h)
	run.asked = []Change{{File{Path: "/etc/asks/file"}, File{"/etc/asks/file", 0o600, heading}}, {b.want("reload=")[0], b.want("reload=1")[0]}}
	left, err := run.TakeBack(t.Context())
	if err == nil || err.Error() != "rolling back: reload: no answer: left behind: reload (is half)" || !slices.Equal(names(left), []string{"reload"}) {
		t.Errorf("%q is left: %v", names(left), err)
	}
	if h.isRegular("/etc/asks/file") {
		t.Error("the file is still there")
	}
	if left, err := run.TakeBack(t.Context()); left != nil || err != nil {
		t.Errorf("the second time %q is left: %v", names(left), err)
	}
}

// TestObsoleteOfOthers lets alone what is on an interface of another kind that has the name of a tunnel of ours.
func TestObsoleteOfOthers(t *testing.T) {
	g := newGateway(t)
	g.converge(t, g.standIn(t))
	var want []Resource
	g.do(func() {
		f, err := Gather(g.h)
		if err != nil {
			t.Fatal(err)
		}
		want = Compile(nil, f)
	})
	g.converge(t, want)
	if out := g.run(t, "ip", "route", "show", "default"); !strings.Contains(out, "default dev mape0") {
		t.Errorf("the default route of the bridge is %q", out)
	}
}

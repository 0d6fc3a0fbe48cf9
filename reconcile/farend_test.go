package reconcile_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

// newNamed is a machine in a namespace, and the line's resolver in another one.
func newNamed(t *testing.T) (d *discovering, isp *hosttest.NS) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	isp = hosttest.NewNS(t)
	d = &discovering{t: t, ns: hosttest.NewNS(t), root: root, patience: 20 * time.Second}
	hosttest.Veth(t, d.ns, "eth1", "", isp, "net0", "")
	d.ns.Exec(t, "sh", "-ec", "ip addr add 2400:db8:12:3400::1/64 dev eth1 nodad; ip addr add 2400:db8:12:3400::feed/128 dev eth1 preferred_lft 0 nodad; ip -6 route add default dev eth1")
	isp.Exec(t, "sh", "-ec", "ip addr add 2001:db8:ff::53/128 dev net0 nodad; ip -6 route add 2400:db8:12:3400::/64 dev net0")
	isp.Do(func() { d.Line = hb46pptest.NewAt(t, "[2001:db8:ff::53]:0") })
	d.process(20 * time.Second)
	return d, isp
}

// process is another process on the same machine, which waits so long for an answer.
func (d *discovering) process(patience time.Duration) {
	d.t.Helper()
	handle, err := d.netlink()
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(handle.Close)
	d.h = &host.Host{Root: d.root, Net: handle, NS: d.ns.FD(), NFT: nft.OpenNS(d.ns.FD())}
	d.run = reconcile.NewRun(d.h)
	d.run.Client = hb46pp.Client{Servers: []netip.AddrPort{d.Resolver}, Limits: hb46pp.Limits{DNS: patience, Server: 5 * time.Second, Total: 20 * time.Second}}
}

func (d *discovering) netlink() (handle *netlink.Handle, err error) {
	d.ns.Do(func() { handle, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	return handle, err
}

// aim is what apply does until it knows the line.
func (d *discovering) aim(section string) gateway.Aim {
	d.t.Helper()
	ctx, cancel := context.WithTimeoutCause(d.t.Context(), d.patience, errors.New("too late"))
	defer cancel()
	aim, _, err := d.run.Await(ctx, gatewaytest.SectionOf(d.t, section), func(error) {})
	if err != nil {
		d.t.Fatal(err)
	}
	if aim.Gateway == nil {
		d.t.Fatal(aim.Err)
	}
	return aim
}

// TestFarEnd: apply asks the line's resolver for an AFTR once, and what it said is good for plan and status, for the next
// process, and for as long as the resolver is away.
func TestFarEnd(t *testing.T) {
	t.Parallel()
	const section = "{wan: eth1, lan: [], ds-lite: {aftr: gw.example.jp}}"
	d, _ := newNamed(t)
	body := func(a string) dnsmessage.ResourceBody {
		return &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(a).As16()}
	}
	d.Set("gw.example.jp.", body("2001:db8:ff::a"), body("2001:db8:ff::b"))
	want := func(what string, aim gateway.Aim, far string) {
		t.Helper()
		if g := aim.Gateway; g == nil || aim.Err != nil || g.Tunnel.Remote.String() != far || g.Tunnel.Local.String() != "2400:db8:12:3400::1" {
			t.Errorf("%s: %+v, %v; want the far end %s", what, g, aim.Err, far)
		}
	}
	known := func() discovery.Name {
		t.Helper()
		f, err := facts.Gather(d.h)
		if err != nil {
			t.Error(err)
		}
		return f.FarEnds["gw.example.jp"]
	}
	want("first", d.aim(section), "2001:db8:ff::a")
	first := known()
	want("again", d.aim(section), "2001:db8:ff::a")
	d.process(20 * time.Second)
	d.Fail(hb46pptest.Mute)
	want("another process", d.aim(section), "2001:db8:ff::a")
	f, err := facts.Gather(d.h)
	if err != nil {
		t.Fatal(err)
	}
	want("plan and status", gateway.Resolve(gatewaytest.SectionOf(t, section), f), "2001:db8:ff::a")
	if n := known(); !n.Asked.Equal(first.Asked) {
		t.Errorf("it was asked again: %+v", n)
	}

	// expire lets the answer's time be over.
	expire := func(patience time.Duration) {
		t.Helper()
		n := known()
		n.Next = time.Now()
		if err := (discovery.Names{"gw.example.jp": n}).Keep(d.h); err != nil {
			t.Error(err)
		}
		d.process(patience)
	}
	expire(100 * time.Millisecond)
	want("the resolver is away", d.aim(section), "2001:db8:ff::a")
	if n := known(); n.Problem == "" || n.Failures != 1 {
		t.Errorf("%+v", n)
	}
	d.Fail(dnsmessage.RCodeNameError)
	expire(20 * time.Second)
	aim := d.aim(section)
	want("the name is gone", aim, "2001:db8:ff::a")
	if all := strings.Join(aim.Warnings(), "\n"); !strings.Contains(all, "there is no such name: no IPv6 address; 2001:db8:ff::a stays the far end of mape0") {
		t.Errorf("it warns %q", all)
	}
	d.Fail(dnsmessage.RCodeSuccess)
	d.Set("gw.example.jp.", body("2001:db8:ff::b"), body("2001:db8:ff::a"))
	expire(20 * time.Second)
	want("in another order", d.aim(section), "2001:db8:ff::a")

	// Nothing keeps the name once no section has it.
	f, err = facts.Gather(d.h)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range gateway.Compile(nil, f) {
		if r.Name() == "file "+discovery.NamesPath {
			if err := r.Write(t.Context(), d.h); err != nil {
				t.Error(err)
			}
		}
	}
	if n := known(); n.Address.IsValid() {
		t.Errorf("%+v stays after remove", n)
	}
}

// TestAnnounce: apply registers once, and plan and status never do.
func TestAnnounce(t *testing.T) {
	t.Parallel()
	d, isp := newNamed(t)
	var asked atomic.Int32
	var says atomic.Value
	says.Store("NG")
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		io.WriteString(w, says.Load().(string))
	}))
	s.Listener.Close()
	var err error
	isp.Do(func() { s.Listener, err = net.Listen("tcp6", "[2001:db8:ff::53]:0") })
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	section := `{wan: eth1, lan: [], ipip: {ipv4: 192.0.2.18, br: "2001:db8:ff::1", interface-id: "::feed", registration: {provider: v6plus, url: "` + s.URL + `/update", user: taro, password: hush}}}`
	announce := func(want string, n int32) {
		t.Helper()
		if got := strings.Join(d.run.Announce(t.Context(), d.aim(section)), "\n"); got != want || asked.Load() != n {
			t.Errorf("asked %d times, and warns %q; want %d, %q", asked.Load(), got, n, want)
		}
	}
	announce("registering 2400:db8:12:3400::feed with 2001:db8:ff::53 (http) failed: it answers 200 OK: NG; until it is accepted, packets may not arrive", 1)
	announce("", 1) // It is too early to try again.
	says.Store("OK")
	kept, err := discovery.ReadAnnouncement(d.h)
	if err != nil {
		t.Fatal(err)
	}
	kept.Next = time.Now()
	if err := kept.Keep(d.h); err != nil {
		t.Fatal(err)
	}
	d.process(20 * time.Second)
	announce("", 2)
	announce("", 2)
	d.process(20 * time.Second)
	announce("", 2)
	f, err := facts.Gather(d.h)
	if aim := gateway.Resolve(gatewaytest.SectionOf(t, section), f); err != nil || aim.Err != nil || asked.Load() != 2 || f.Announced.Answer != "200 OK: OK" {
		t.Errorf("%v, %v: %+v", err, aim.Err, f.Announced)
	}
	aim := d.aim(section)
	aim.Err = errors.New("held")
	if got := d.run.Announce(t.Context(), aim); got != nil {
		t.Errorf("a line that is held: %q", got)
	}
}

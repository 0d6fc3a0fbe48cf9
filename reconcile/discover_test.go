package reconcile_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

// A discovering is a machine in a namespace, whose WAN has an address, and the line's resolver and server.
type discovering struct {
	*hb46pptest.Line
	t    *testing.T
	ns   *hosttest.NS
	far  *hosttest.NS // the line's
	root *os.Root
	h    *host.Host
	run  *reconcile.Run

	patience time.Duration // of apply
}

func newDiscovering(t *testing.T) *discovering {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d := &discovering{Line: hb46pptest.New(t), t: t, ns: hosttest.NewNS(t), far: hosttest.NewNS(t), root: root, patience: 20 * time.Second}
	for _, ns := range []*hosttest.NS{d.ns, d.far} {
		hosttest.Sysctl(t, ns, map[string]string{"ipv6/conf/default/dad_transmits": "0"})
	}
	hosttest.Veth(t, d.ns, "eth1", "", d.far, "net0", "")
	d.ns.Exec(t, "ip", "addr", "add", "2400:db8:12:3400::1/64", "dev", "eth1", "nodad")
	d.ns.Exec(t, "ip", "-6", "route", "add", "default", "dev", "eth1")
	d.restart()
	return d
}

// restart is another process on the same machine.
func (d *discovering) restart() {
	d.t.Helper()
	var handle *netlink.Handle
	var err error
	d.ns.Do(func() { handle, err = netlink.NewHandle(unix.NETLINK_ROUTE) })
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(handle.Close)
	d.h = &host.Host{Root: d.root, Net: handle, NS: d.ns.FD(), NFT: nft.OpenNS(d.ns.FD())}
	d.run = reconcile.NewRun(d.h)
	d.run.Client = gatewaytest.ClientOf(d.Line)
}

// await is what apply does until it knows the line, and returns its service and CE, or the error.
func (d *discovering) await(section string) string {
	d.t.Helper()
	ctx, cancel := context.WithTimeoutCause(d.t.Context(), d.patience, errors.New("too late"))
	defer cancel()
	aim, _, err := d.run.Await(ctx, gatewaytest.SectionOf(d.t, section), func(error) {})
	if err = cmp.Or(err, aim.Err); err != nil {
		return err.Error()
	}
	g := aim.Gateway
	return g.Service + " " + g.Softwire.CE().String()
}

func (d *discovering) want(what, got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s:\n  %s\nwant\n  %s", what, got, want)
	}
}

func (d *discovering) file() string {
	data, _ := d.root.ReadFile(host.Local(discovery.CachePath))
	return string(data)
}

const found = "S (E) 2400:db8:12:3400:c0:2:1200:3400"

// TestDiscoverLife: from the first question through an outage and another address to the end.
func TestDiscoverLife(t *testing.T) {
	d := newDiscovering(t)
	const token = "640756965820d3b9025b6941f9590af6802830ba58663fe8f043dc92b576f17a"
	answer := strings.Replace(gatewaytest.Offer, `"ttl"`, `"token": "`+token+`", "ttl"`, 1)
	d.TXT("v=v6mig-1 url=" + d.Serve(d.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer) }) + "/c t=b")
	const section = "{provider: discover, discover: {user: taro, password: hush-hush, server: vne.example.jp}}"

	d.want("first", d.await(section), found)
	if asked := d.Asked(); len(asked) != 1 || asked[0].Query().Get("user") != "taro" || asked[0].Query().Get("pass") != "hush-hush" {
		t.Errorf("asked %v", asked)
	}
	if info, err := d.root.Stat(host.Local(discovery.CachePath)); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if !strings.Contains(d.file(), token) || strings.Contains(d.file(), "hush-hush") {
		t.Errorf("the file is\n%s", d.file())
	}
	if facts, err := json.Marshal(facts.Facts{Discovered: d.run.Latest(discovery.Cached(d.h))}); err != nil || strings.Contains(string(facts), "taro") ||
		strings.Contains(string(facts), token) || strings.Contains(string(facts), "vne.example.jp") {
		t.Errorf("%v: the facts are\n%s", err, facts)
	}
	d.want("again", d.await(section), found)
	d.restart()
	d.want("another process", d.await(section), found)
	if n := len(d.Asked()); n != 1 {
		t.Errorf("asked %d times within the ttl", n)
	}
	// What plan and status know.
	if facts, err := facts.Gather(d.h); err != nil || !facts.Discovered.Offers() {
		t.Errorf("%+v, %v", facts.Discovered, err)
	}

	// Its time is over, and the server is down.
	d.later(time.Hour)
	d.restart()
	answer = "<html>"
	d.want("an outage after a restart", d.await(section), found)
	if asked := d.Asked(); len(asked) != 2 || asked[1].Query().Get("token") != token {
		t.Errorf("asked %v", asked)
	}
	d.want("during an outage", d.await(section), found)
	if n := len(d.Asked()); n != 2 {
		t.Errorf("asked %d times during an outage", n)
	}

	// The line moves: it is asked at once, as soon as that is not too often.
	answer = gatewaytest.Offer
	d.ns.Exec(t, "ip", "addr", "add", "2400:db8:12:3500::1/64", "dev", "eth1", "nodad")
	d.ns.Exec(t, "ip", "addr", "del", "2400:db8:12:3400::1/64", "dev", "eth1")
	d.later(line.DiscoveryPause)
	d.want("another address", d.await(section), "S (E) 2400:db8:12:3500:c0:2:1200:3500")
	if n := len(d.Asked()); n != 3 {
		t.Errorf("asked %d times", n)
	}

	// The provider gives it up.
	d.later(time.Hour)
	d.restart()
	d.TXT()
	d.want("no record any more", d.await(section), "eth1 has 2400:db8:12:3500::1/64: "+gatewaytest.NoRecord)
	d.want("once more", d.await(section), "eth1 has 2400:db8:12:3500::1/64: "+gatewaytest.NoRecord)
	if n := d.Questions(); n != 4 {
		t.Errorf("%d questions of DNS, want 4", n)
	}
	// Of which plan and status tell, and nothing of the rules stays.
	if !strings.Contains(d.file(), `"withdrawn": true`) || strings.Contains(d.file(), `"reply"`) || strings.Contains(d.file(), token) {
		t.Errorf("the file is:\n%s", d.file())
	}
}

// later lets time pass for what is known.
func (d *discovering) later(by time.Duration) {
	d.t.Helper()
	known := *d.run.Latest(discovery.Cached(d.h))
	known.Asked, known.Next, known.Problem = known.Asked.Add(-by), known.Next.Add(-by), ""
	if _, err := d.run.Remember(d.h, &known); err != nil {
		d.t.Fatal(err)
	}
}

// TestDiscoverFailures is what apply prints when the line gives nothing, and that it asks once.
func TestDiscoverFailures(t *testing.T) {
	for _, test := range []struct {
		name string
		txt  func(*hb46pptest.Line) string
		want string
		asks int
	}{
		{"no record", func(l *hb46pptest.Line) string { return "" }, gatewaytest.NoRecord, 0},
		{"a record that is none", func(l *hb46pptest.Line) string { return "hello" },
			`too late: eth1 has 2400:db8:12:3400::1/64: resolver ::1: 4over6.info. TXT record "hello": must be a list of different keys with values that begins with v: it must be one record "v=v6mig-1 url=https://… t=a", or t=b`, 0},
		{"another method", func(l *hb46pptest.Line) string { return "v=v6mig-1 url=" + l.Good(gatewaytest.Only464XLAT) + "/ t=b" },
			"S (E) offers this line 464xlat, and only map_e, map_t, lw4o6, dslite, ipip are supported", 1},
		{"nothing", func(l *hb46pptest.Line) string { return "v=v6mig-1 url=" + l.Good(gatewaytest.Nothing) + "/ t=b" },
			"E offers this line nothing (order: [])", 1},
		{"bad data", func(l *hb46pptest.Line) string {
			return "v=v6mig-1 url=" + strings.Replace(l.Good(`{"enabler_name": "E"}`), "vne", "vne", 1) + "/ t=b"
		}, "too late: eth1 has 2400:db8:12:3400::1/64: URL/: order: is missing: it must be a list such as [\"map_e\"]", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDiscovering(t)
			if strings.HasPrefix(test.want, "too late") {
				d.patience = time.Second
			}
			if txt := test.txt(d.Line); txt != "" {
				d.TXT(txt)
			}
			got := d.await("{provider: discover}")
			if n := d.Questions(); n != 1 {
				t.Errorf("%d questions of DNS", n)
			}
			if asked := d.Asked(); len(asked) != test.asks {
				t.Errorf("asked %v", asked)
			} else if len(asked) > 0 {
				got = strings.Replace(got, "https://"+asked[0].Host, "URL", 1)
			}
			got = strings.TrimPrefix(got, "eth1 has 2400:db8:12:3400::1/64: ")
			d.want(test.name, got, test.want)
		})
	}
}

// TestDiscoverAuto: where a built-in rule is for the line, no server is asked.
func TestDiscoverAuto(t *testing.T) {
	d := newDiscovering(t)
	d.TXT("v=v6mig-1 url=" + d.Good(gatewaytest.Offer) + "/ t=b")
	d.want("auto, no rule", d.await("{}"), found)
	d.ns.Exec(t, "ip", "addr", "add", "2400:4050:5c71:af00::1/64", "dev", "eth1", "nodad")
	d.ns.Exec(t, "ip", "addr", "del", "2400:db8:12:3400::1/64", "dev", "eth1")
	d.restart()
	d.want("auto, a rule", d.await("{}"), " 2400:4050:5c71:af00:99:f171:c600:2f00")
	if n := len(d.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestDiscoverNoStore: such a reply is nowhere on the disk, and another process asks anew.
func TestDiscoverNoStore(t *testing.T) {
	d := newDiscovering(t)
	d.TXT("v=v6mig-1 url=" + d.Serve(d.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, gatewaytest.Offer)
	}) + "/ t=b")
	for i := 1; i < 3; i++ {
		d.restart()
		d.want("no-store", d.await("{provider: discover}"), found)
		d.want("no-store, again", d.await("{provider: discover}"), found)
		if n := len(d.Asked()); n != i {
			t.Errorf("asked %d times, want %d", n, i)
		}
		if strings.Contains(d.file(), "192.0.2") || !strings.Contains(d.file(), `"unstored": true`) {
			t.Errorf("the file is\n%s", d.file())
		}
	}
}

// TestDiscoverNoResolver: the resolver may come later than the address.
func TestDiscoverNoResolver(t *testing.T) {
	d := newDiscovering(t)
	servers := d.run.Client.Servers
	d.run.Client.Servers, d.patience = nil, time.Second
	d.want("none", d.await("{provider: discover}"), "too late: eth1 has 2400:db8:12:3400::1/64: no IPv6 resolver of eth1 is known, "+
		"neither to networkd nor in /etc/resolv.conf: only the line's own one knows its rules")
	d.TXT("v=v6mig-1 url=" + d.Good(gatewaytest.Offer) + "/ t=b")
	d.run.Client.Servers, d.patience = servers, 20*time.Second
	d.run.Last.Load().Next = time.Now()
	d.want("later", d.await("{provider: discover}"), found)
}

// TestDiscoverCancelled: a run that ends has learnt nothing of the line.
func TestDiscoverCancelled(t *testing.T) {
	d := newDiscovering(t)
	d.Fail(hb46pptest.Mute)
	d.run.Client.Limits.DNS, d.patience = time.Minute, 300*time.Millisecond
	d.want("cancelled", d.await("{provider: discover}"), "too late")
	if got := d.run.Latest(discovery.Cached(d.h)); got != nil {
		t.Errorf("%+v", got)
	}
}

package watch

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
	"mape-netplan/reconcile/resource"
)

// newLine is a machine on a line with a resolver, whose other hosts are 2001:db8:ff::/64.
func newLine(t *testing.T) (*gatewaytest.Machine, *hb46pptest.Line) {
	g := newMachine(t)
	g.Exec(t, "sh", "-ec", "ip address add 2001:db8:1:2::1/64 dev eth1 nodad; ip -6 route add default dev eth1")
	g.Others.Exec(t, "sh", "-ec", "ip address add 2001:db8:ff::53/128 dev line nodad; ip address add 2001:db8:ff::80/128 dev line nodad; ip -6 route add 2001:db8:1:2::/64 dev line")
	var l *hb46pptest.Line
	g.Others.Do(func() { l = hb46pptest.NewAt(t, "[2001:db8:ff::53]:0") })
	g.Client = hb46pp.Client{Servers: []netip.AddrPort{l.Resolver}, Limits: hb46pp.Limits{DNS: patience, Server: patience, Total: patience, Body: 1 << 20}}
	return g, l
}

func setAFTR(l *hb46pptest.Line, addresses ...string) {
	var all []dnsmessage.ResourceBody
	for _, a := range addresses {
		all = append(all, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(a).As16()})
	}
	l.Set("gw.example.jp.", all...)
}

// TestWatchFarEnd: the name of an AFTR is asked of the line's resolver. While the far end is silent it is asked again and
// again: the address stays in use while it is in the answer or the answer is missing, otherwise another one takes its place.
func TestWatchFarEnd(t *testing.T) {
	t.Parallel()
	g, l := newLine(t)
	l.Fail(dnsmessage.RCodeNameError)
	w := startService(t, g, "{wan: eth1, lan: eth0, ds-lite: {aftr: GW.example.jp}}", func(w *Watch) {
		w.Compile = func(o gateway.Transition, g *gateway.Gateway, f facts.Facts) []engine.Resource {
			// The filter is for packets without an Ethernet header, and would let none out by the bridge.
			return slices.DeleteFunc(withoutTunnel(o, g, f), func(r engine.Resource) bool { _, ok := r.(resource.Egress); return ok })
		}
	})
	w.says(t, "waiting: ", "asked for gw.example.jp: there is no such name: no IPv6 address")
	known := func() discovery.Name {
		all, err := discovery.ReadNames(w.H)
		if err != nil {
			t.Error(err)
		}
		return all["gw.example.jp"]
	}
	if n := known(); !n.Absent || n.Address.IsValid() {
		t.Errorf("%+v", n)
	}

	setAFTR(l, "2001:db8:ff::a", "2001:db8:ff::b")
	l.Fail(dnsmessage.RCodeSuccess)
	w.says(t, "CE 2001:db8:1:2::1", "changed in")
	uses := func(address string) {
		t.Helper()
		w.await(t, "the tunnel is to "+address, func() bool {
			data, _ := os.ReadFile(w.Dir + netplan.Path)
			return strings.Contains(string(data), "remote: "+address) || strings.Contains(string(data), `remote: "`+address+`"`)
		})
	}
	uses("2001:db8:ff::a")

	w.Exec(t, "ip", "neighbor", "add", gatewaytest.Server, "lladdr", "02:00:00:00:00:99", "dev", "mape0")
	// silently sends packets that nothing answers until the line was asked once more.
	conn := gatewaytest.Sockets(t, w.NS, 1)[0]
	silently := func() {
		t.Helper()
		before := known().Asked
		w.await(t, "a question", func() bool {
			conn.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":9"))
			return known().Asked.After(before)
		})
	}
	setAFTR(l, "2001:db8:ff::b", "2001:db8:ff::a")
	silently()
	uses("2001:db8:ff::a")
	l.Fail(dnsmessage.RCodeServerFailure)
	silently()
	silently()
	w.says(t, "<4>the line's resolver 2001:db8:ff::53, asked for gw.example.jp: it answers ServerFailure; 2001:db8:ff::a stays the far end of mape0")
	uses("2001:db8:ff::a")
	l.Fail(dnsmessage.RCodeSuccess)
	setAFTR(l, "2001:db8:ff::b")
	silently()
	uses("2001:db8:ff::b")
	w.says(t, "no longer: ", "it answers ServerFailure")

	if n := w.said("cannot apply"); n > 0 {
		t.Errorf("it could not apply %d times", n)
	}

	// Without the section nothing of it stays.
	w.section(t, gatewaytest.LineSection)
	w.Exec(t, "ip", "address", "add", "2400:4050:5c71:af00::1/64", "dev", "eth1")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in", "file "+discovery.NamesPath)
}

// TestWatchRegisters: the CE address of a fixed IPv4 address is registered once it is there, from it, once for each change
// and at each start, and what is wrong is logged once, without the credentials.
func TestWatchRegisters(t *testing.T) {
	t.Parallel()
	g, _ := newLine(t)
	var mu sync.Mutex
	var asked []string
	says := "NG"
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		asked = append(asked, from+" "+r.RequestURI)
		io.WriteString(w, says)
	}))
	s.Listener.Close()
	var err error
	g.Others.Do(func() { s.Listener, err = net.Listen("tcp6", "[2001:db8:ff::80]:0") })
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	section := func(id, password string) string {
		return fmt.Sprintf(`{wan: eth1, lan: eth0, ipip: {ipv4: 192.0.2.18, br: "2001:db8:ff::1", interface-id: "%s", `+
			`registration: {provider: v6plus, url: "%s/update", user: "taro-san", password: "%s"}}}`, id, s.URL, password)
	}
	of := func(id, password string) string {
		return "2001:db8:1:2" + id + " /update?user=taro-san&pass=" + password
	}
	var want []string
	var w *service
	registers := func(line string) {
		t.Helper()
		want = append(want, line)
		w.await(t, "it registers", func() bool { mu.Lock(); defer mu.Unlock(); return len(asked) >= len(want) })
		w.looks(t)
		mu.Lock()
		defer mu.Unlock()
		if strings.Join(asked, "\n") != strings.Join(want, "\n") {
			t.Errorf("asked\n%s\nwant\n%s", strings.Join(asked, "\n"), strings.Join(want, "\n"))
		}
		asked, want = nil, nil
	}
	w = startService(t, g, section("::feed", "hush-1"))
	registers(of("::feed", "hush-1"))
	const refused = "registering 2001:db8:1:2::feed with 2001:db8:ff::80 (http) failed: it answers 200 OK: NG; until it is accepted, packets may not arrive"
	w.says(t, "<4>"+refused)
	w.looks(t)
	if n := w.said(refused); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	if n := w.said("taro") + w.said("hush"); n > 0 {
		t.Errorf("credentials are in\n%s", strings.Join(w.log, "\n"))
	}

	// The service is started again, and the provider accepts it.
	mu.Lock()
	says = "OK"
	mu.Unlock()
	again := func(section string) {
		w.stop()
		w = startService(t, g, section)
	}
	again(section("::feed", "hush-1"))
	registers(of("::feed", "hush-1"))
	f, err := facts.Look(w.H)
	if a := f.Announced; err != nil || a == nil || a.Answer != "200 OK: OK" || a.Problem != "" || a.CE.String() != "2001:db8:1:2::feed" {
		t.Errorf("%+v, %v", a, err)
	}
	w.Exec(t, "nft", "delete", "table", "ip", "mape")
	w.says(t, "restored table ip mape")
	again(section("::feed", "hush-1"))
	registers(of("::feed", "hush-1"))

	// Another password, and another address.
	w.section(t, section("::feed", "hush-2"))
	registers(of("::feed", "hush-2"))
	w.section(t, section("::beef", "hush-2"))
	registers(of("::beef", "hush-2"))
	w.section(t, strings.Replace(section("::beef", "hush-2"), "192.0.2.18", "192.0.2.19", 1))
	w.says(t, "IPv4 192.0.2.19", "changed in")
	w.looks(t)
	mu.Lock()
	defer mu.Unlock()
	if len(asked) > 0 {
		t.Errorf("asked %q for another IPv4 address", asked)
	}
}

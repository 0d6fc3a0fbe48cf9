package doctor_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

// asker is what a service asks the line with, whose resolver is at an address of the line.
func (m *machine) asker(t *testing.T) (*line.Asker, *hb46pptest.Line) {
	t.Helper()
	m.line.run(t, "ip addr add 2001:db8:7f01::53/128 dev lo nodad; ip -6 route add 2400:4050:5c71:af00::/64 dev line0")
	var l *hb46pptest.Line
	m.line.Do(func() { l = hb46pptest.NewAt(t, "[2001:db8:7f01::53]:0") })
	return &line.Asker{Host: &host.Host{Root: m.h.Root, NS: m.gw.FD()}, AtStart: true, Client: hb46pp.Client{
		Servers: []netip.AddrPort{l.Resolver}, Limits: hb46pp.Limits{DNS: 20 * time.Second, Server: 5 * time.Second, Total: 20 * time.Second}}}, l
}

// finds checks what is found by one check, and words of its diagnosis and advice.
func (m *machine) finds(t *testing.T, check string, state doctor.State, diagnosis, advice string) {
	t.Helper()
	r := m.examine(t)
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Check == check })
	if f := r.Findings[i]; f.State != state || !says(f.Diagnosis, diagnosis) || !says(f.Advice, advice) {
		t.Errorf("want %s to be %s, %q, %q; got %+v in %s", check, state, diagnosis, advice, f, all(r))
	}
	if text := all(r); strings.Contains(text, "hush") {
		t.Errorf("credentials are in %s", text)
	}
}

// TestFarEnd: the line's resolver does not know an AFTR, does not answer, or knows it and then no more.
func TestFarEnd(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.finds(t, "far end", doctor.Skipped, "", "")
	a, l := m.asker(t)
	m.section = "mape: {wan: eth1, lan: eth0, ds-lite: {aftr: gw.example.jp}}"
	ask := func() {
		t.Helper()
		c, f := m.facts(t)
		if err := a.Ask(t.Context(), c, gateway.Resolve(c, f).Line, f, true); err != nil {
			t.Fatal(err)
		}
	}
	m.is(t, doctor.Bad, "far end", "nothing has asked the line's resolvers for gw.example.jp yet")
	ask()
	m.is(t, doctor.Bad, "far end", "The line's resolver 2001:db8:7f01::53, asked for gw.example.jp: there is no such name")
	m.finds(t, "far end", doctor.Bad, "no such name", "that provider's own lines only")
	l.Fail(hb46pptest.Mute)
	a.Client.DNS = time.Second
	ask()
	a.Client.DNS = 20 * time.Second
	m.is(t, doctor.Bad, "far end", "asked for gw.example.jp: no answer within 1s")
	m.finds(t, "far end", doctor.Bad, "no answer", "resolvectl query -i eth1 gw.example.jp")
	l.Fail(dnsmessage.RCodeSuccess)
	l.Set("gw.example.jp.", &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(brText).As16()})
	ask()
	m.finds(t, "far end", doctor.OK, "", "")
	l.Fail(dnsmessage.RCodeNameError)
	ask()
	m.finds(t, "far end", doctor.Warn, "no such name … "+brText+", stays in use", "provider's papers")
}

// TestRegistration: the CE address was never registered, is refused, is accepted, and refused later.
func TestRegistration(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.finds(t, "registration", doctor.Skipped, "", "")
	a, _ := m.asker(t)
	var answer atomic.Value
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer.Load().(string)) }))
	s.Listener.Close()
	var err error
	m.line.Do(func() { s.Listener, err = net.Listen("tcp6", "[2001:db8:7f01::53]:0") })
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Close)
	m.section = `mape: {wan: eth1, lan: eth0, ipip: {ipv4: 192.0.2.18, br: "` + brText + `", ce: "` + ceText + `", registration: {provider: v6plus, url: "` + s.URL + `/", user: hush-taro, password: hush-hush}}}`
	register := func(text string) {
		t.Helper()
		answer.Store(text)
		c, f := m.facts(t)
		if err := a.Register(t.Context(), gateway.Resolve(c, f).Line, f); err != nil {
			t.Fatal(err)
		}
	}
	m.is(t, doctor.Bad, "registration", "has not been told the CE address "+ceText)
	register("NG hush-hush")
	m.is(t, doctor.Bad, "registration", "Registering "+ceText+" with 2001:db8:7f01::53 (http) failed: it answers 200 OK: NG.")
	m.finds(t, "registration", doctor.Bad, "NG", "再設定ユーザID … restarted")
	register("OK")
	m.finds(t, "registration", doctor.OK, "", "")
	register("")
	m.finds(t, "registration", doctor.Warn, "once more … 0 bytes that do not say OK", "tries again")
}

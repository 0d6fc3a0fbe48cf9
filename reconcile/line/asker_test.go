package line_test

import (
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/softwire"
)

var evening = time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)

func replyOf(t testing.TB, text string) *hb46pp.Reply {
	t.Helper()
	r, err := hb46pp.ParseReply([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestDiscoveryAfter goes through what a line can say one after another.
func TestDiscoveryAfter(t *testing.T) {
	half := func() float64 { return 0.5 }
	var d *discovery.Discovery
	for i, step := range []struct {
		reply                 string
		event                 hb46pp.Event // of a failure
		name                  string       // of the service that holds
		wait                  time.Duration
		withdrawn, lost, none bool
	}{
		{event: hb46pp.Unresolved, wait: 330 * time.Second, none: true},
		{event: hb46pp.Absent, wait: 2 * time.Hour, withdrawn: true, none: true},
		{event: hb46pp.NoValidAnswer, wait: 20 * time.Minute, withdrawn: true, none: true}, // a failure changes nothing
		{reply: gatewaytest.Offer, wait: time.Hour, name: "S (E)"},
		{event: hb46pp.NoValidAnswer, wait: 20 * time.Minute, name: "S (E)"},
		{event: hb46pp.Unresolved, wait: 330 * time.Second, name: "S (E)"},
		{reply: strings.Replace(gatewaytest.Offer, `"ttl": 3600, `, "", 1), wait: 22 * time.Hour, name: "S (E)"},
		{reply: gatewaytest.Only464XLAT, wait: time.Hour, name: "S (E)", withdrawn: true, lost: true},
		{event: hb46pp.Absent, wait: 2 * time.Hour, withdrawn: true, lost: true, none: true},
		{reply: gatewaytest.Offer, wait: time.Hour, name: "S (E)"},
		{reply: gatewaytest.Nothing, wait: time.Hour, name: "E", withdrawn: true, lost: true},
	} {
		var answer discovery.Offer
		var failure error
		ttl := time.Duration(0)
		if step.reply != "" {
			answer.Reply = replyOf(t, step.reply)
			ttl = answer.Reply.TTL()
		} else {
			failure = &hb46pp.Failure{Event: step.event, Err: errors.New("so it is")}
		}
		d = d.After(answer, ttl, failure, evening, half)
		if d.Next.Sub(evening) != step.wait || d.Withdrawn != step.withdrawn || d.Lost != step.lost || (d.Reply == nil) != step.none {
			t.Errorf("step %d: %+v, wait %v", i, d, d.Next.Sub(evening))
		}
		if !step.none && d.Reply.Name() != step.name {
			t.Errorf("step %d: %s", i, d.Reply.Name())
		}
		if (d.Problem == "") != d.Offers() && failure == nil {
			t.Errorf("step %d: problem %q", i, d.Problem)
		}
	}
}

// TestDiscovered is what a section makes of what the line said.
func TestDiscovered(t *testing.T) {
	const table = "no built-in rule covers prefix 2400:db8:12:3400::/64, and its network is not known: if the provider uses MAP-E, write its rules or values into the section (keys rules and br, or softwire)"
	failed := func(text string) *discovery.Discovery { return &discovery.Discovery{Problem: text} }
	for _, test := range []struct {
		name, section, address string
		d                      *discovery.Discovery
		want                   string // the error, or provider, service and CE
		off                    bool
	}{
		{"not asked", "{provider: discover}", "2400:db8:12:3400::1/64", nil,
			"eth1 has 2400:db8:12:3400::1/64: the line has not been asked for its rules yet (HB46PP): apply, install or watch asks it", false},
		{"not asked, with a prefix", `{provider: discover, prefix: "2400:db8:12:3400::/56"}`, "", nil,
			"the line has not been asked for its rules yet (HB46PP): apply, install or watch asks it", false},
		{"given", "{provider: discover}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"discover S (E) 2400:db8:12:3400:c0:2:1200:3400", false},
		{"given, with a prefix", `{provider: discover, prefix: "2400:db8:12:3400::/56"}`, "", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"discover S (E) 2400:db8:12:3400:c0:2:1200:3400", false},
		{"given for RFC 7597", "{provider: discover}", "2400:db8:12:3400::1/64",
			&discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, strings.Replace(gatewaytest.Offer, `"br"`, `"version": 1, "br"`, 1))}},
			"discover S (E) 2400:db8:12:3400:0:c000:212:34", false},
		{"the section's interface identifier", "{provider: discover, interface-id: rfc7597}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"discover S (E) 2400:db8:12:3400:0:c000:212:34", false},
		{"an outage later", "{provider: discover}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}, Problem: "no answer"},
			"discover S (E) 2400:db8:12:3400:c0:2:1200:3400", false},
		{"rules of another line", "{provider: discover}", "2400:db9:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"eth1 has 2400:db9:12:3400::1/64: of the rules that S (E) gave: prefix 2400:db9:12:3400::/64 is outside every rule: the nearest is 2400:db8::/40, with which it shares the first 31 bits; correct the prefix or add its rule", false},
		{"no answer", "{provider: discover}", "2400:db8:12:3400::1/64", failed("https://a/: no answer within 10s"),
			"eth1 has 2400:db8:12:3400::1/64: https://a/: no answer within 10s", false},
		{"another method", "{provider: discover}", "2400:db8:12:3400::1/64",
			(*discovery.Discovery)(nil).After(discovery.Offer{Reply: replyOf(t, gatewaytest.Only464XLAT)}, time.Hour, nil, evening, nil),
			"eth1 has 2400:db8:12:3400::1/64: S (E) offers this line 464xlat, and only map_e, map_t, lw4o6, dslite, ipip are supported", true},
		{"nothing", "{provider: discover}", "2400:db8:12:3400::1/64",
			(*discovery.Discovery)(nil).After(discovery.Offer{Reply: replyOf(t, gatewaytest.Nothing)}, time.Hour, nil, evening, nil),
			"eth1 has 2400:db8:12:3400::1/64: E offers this line nothing (order: [])", true},
		{"withdrawn", "{provider: discover}", "2400:db8:12:3400::1/64", &discovery.Discovery{Problem: gatewaytest.NoRecord, Withdrawn: true},
			"eth1 has 2400:db8:12:3400::1/64: " + gatewaytest.NoRecord, true},
		{"not to be kept", "{provider: discover}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Unstored: true}},
			"eth1 has 2400:db8:12:3400::1/64: the provider forbids keeping its rules (Cache-Control: no-store): only apply and watch, which ask, know them", false},
		{"damaged: withdrawn, and no reason", "{provider: discover}", "2400:db8:12:3400::1/64", &discovery.Discovery{Withdrawn: true},
			"eth1 has 2400:db8:12:3400::1/64: what the line said of its rules (HB46PP) cannot be used: it says nothing of the line", false},
		{"damaged: withdrawn, and rules", "{}", "2400:db8:12:3400::1/64", &discovery.Discovery{Withdrawn: true, Lost: true, Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"eth1 has 2400:db8:12:3400::1/64: " + table + "; and the line, asked for its rules (HB46PP): what the line said of its rules (HB46PP) cannot be used: it has rules and has withdrawn them", false},
		{"damaged: nothing", "{provider: discover}", "2400:db8:12:3400::1/64", failed(""),
			"eth1 has 2400:db8:12:3400::1/64: what the line said of its rules (HB46PP) cannot be used: it says nothing of the line", false},

		{"auto, a built-in rule", "{}", "2400:4050:5c71:af00::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}},
			"ocn  2400:4050:5c71:af00:99:f171:c600:2f00", false},
		{"auto, not asked", "{}", "2400:db8:12:3400::1/64", nil, "eth1 has 2400:db8:12:3400::1/64: " + table, false},
		{"auto, given", "{}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}}, "discover S (E) 2400:db8:12:3400:c0:2:1200:3400", false},
		{"auto, no record", "{}", "2400:db8:12:3400::1/64", &discovery.Discovery{Problem: gatewaytest.NoRecord, Withdrawn: true},
			"eth1 has 2400:db8:12:3400::1/64: " + table + "; and the line, asked for its rules (HB46PP): " + gatewaytest.NoRecord, false},
		{"auto, no record any more", "{}", "2400:db8:12:3400::1/64", &discovery.Discovery{Problem: gatewaytest.NoRecord, Withdrawn: true, Lost: true},
			"eth1 has 2400:db8:12:3400::1/64: " + table + "; and the line, asked for its rules (HB46PP): " + gatewaytest.NoRecord, true},
		{"another provider", "{provider: ocn}", "2400:db8:12:3400::1/64", &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}}, "eth1 has 2400:db8:12:3400::1/64: " + table, false},
	} {
		f := gatewaytest.OnLineFacts(test.address)
		f.Discovered = test.d
		found, err := line.Find(gatewaytest.SectionOf(t, test.section), f)
		got := found.Provider + " " + found.Service + " " + found.Softwire.CE().String()
		if err != nil {
			got = err.Error()
		}
		if got != test.want || errors.Is(err, discovery.ErrWithdrawn) != test.off || err != nil && !test.off && !errors.Is(err, line.ErrNotYet) {
			t.Errorf("%s:\n  %s, withdrawn %v\nwant\n  %s, %v", test.name, got, errors.Is(err, discovery.ErrWithdrawn), test.want, test.off)
		}
	}
	// It is not the section's fault, and no look at a machine shows it.
	if err := line.Check(gatewaytest.SectionOf(t, `{provider: discover, prefix: "2400:db8:12:3400::/56"}`)); err != nil {
		t.Error(err)
	}
}

func TestDiscoveredMesh(t *testing.T) {
	f := gatewaytest.OnLineFacts("2400:db8:12:3400::1/64")
	f.Discovered = &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, strings.Replace(gatewaytest.Offer, `"br"`, `"mesh": true, "br"`, 1))}}
	line, err := line.Find(gatewaytest.SectionOf(t, "{provider: discover}"), f)
	want := []softwire.Warning{softwire.NewWarning(softwire.Mesh, "S (E) has its customers send to each other directly (mesh), which is not supported: what comes from them that way is dropped")}
	if err != nil || !reflect.DeepEqual(line.Softwire.Warnings, want) {
		t.Errorf("%q, %v", line.Softwire.Warnings, err)
	}
}

// TestNextDiscovery says when the line is asked.
func TestNextDiscovery(t *testing.T) {
	const address = "2400:db8:12:3400::1/64"
	later := evening.Add(time.Hour)
	asked := &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer)}, Asked: evening.Add(-time.Hour), Next: later,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2400:db8:12:3400::/64")}}
	but := func(change func(*discovery.Discovery)) *discovery.Discovery {
		d := *asked
		change(&d)
		return &d
	}
	for _, test := range []struct {
		name, section, address string
		d                      *discovery.Discovery
		want                   time.Time
	}{
		{"never asked", "{provider: discover}", address, nil, evening},
		{"no address yet", "{provider: discover}", "", nil, time.Time{}},
		{"only a unique local one", "{provider: discover}", "fd00::1/64", nil, time.Time{}},
		{"it holds", "{provider: discover}", address, asked, later},
		{"another host part", "{provider: discover}", "2400:db8:12:3400::2/64", asked, later},
		{"another prefix", "{provider: discover}", "2400:db8:12:3500::1/64", asked, asked.Asked.Add(10 * time.Second)},
		{"another prefix, a moment after", "{provider: discover}", "2400:db8:12:3500::1/64", but(func(d *discovery.Discovery) { d.Asked = evening.Add(-time.Second) }), evening.Add(9 * time.Second)},
		{"the clock was set back", "{provider: discover}", address, but(func(d *discovery.Discovery) { d.Asked = later }), evening},
		{"another user", "{provider: discover, discover: {user: a, password: b, server: c.jp}}", address, asked, asked.Asked.Add(10 * time.Second)},
		{"the same user", "{provider: discover, discover: {user: a, password: b, server: c.jp}}", address, but(func(d *discovery.Discovery) { d.User, d.Server = "a", "c.jp" }), later},
		{"auto, no built-in rule", "{}", address, nil, evening},
		{"auto, no built-in rule, asked", "{}", address, asked, later},
		{"auto, a built-in rule", "{}", "2400:4050:5c71:af00::1/64", nil, time.Time{}},
		{"auto, a prefix of the section", `{prefix: "2400:4050:5c71:af00::/56"}`, address, nil, time.Time{}},
		{"discover, a prefix of the section", `{provider: discover, prefix: "2400:db8:12:3400::/56"}`, address, nil, evening},
		{"another provider", "{provider: ocn}", address, nil, time.Time{}},
		{"own rules", `{br: "2001:db8:ffff::1", rules: [{ipv6: "2001:db8::/40", ipv4: 192.0.2.0/24, ea-bits: 16}]}`, address, nil, time.Time{}},
	} {
		f := gatewaytest.OnLineFacts(test.address)
		f.Discovered = test.d
		if got := line.NextDiscovery(gatewaytest.SectionOf(t, test.section), gatewaytest.Seek(gatewaytest.SectionOf(t, test.section), f), f, evening); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
		f.Live = false
		if got := line.NextDiscovery(gatewaytest.SectionOf(t, test.section), gatewaytest.Seek(gatewaytest.SectionOf(t, test.section), f), f, evening); !got.IsZero() {
			t.Errorf("%s, without a kernel: %v", test.name, got)
		}
	}
	f := gatewaytest.OnLineFacts(address)
	f.Discovered = asked
	c := gatewaytest.SectionOf(t, "{provider: discover}")
	if got := line.Overdue(c, gatewaytest.Seek(c, f), f, evening); got != nil {
		t.Error(got)
	}
	want := []string{"the rules that the line gave at 2026-11-24 21:00:00 have expired; only apply and watch ask for them again (HB46PP)"}
	if got := line.Overdue(c, gatewaytest.Seek(c, f), f, later); !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
}

// TestDiscoveryJSON: what "facts" prints is what "plan --facts" needs, and no token.
func TestDiscoveryJSON(t *testing.T) {
	f := gatewaytest.OnLineFacts("2400:db8:12:3400::1/64")
	f.Discovered = &discovery.Discovery{Offer: discovery.Offer{Reply: replyOf(t, gatewaytest.Offer), Token: hb46pp.Token{Value: "token"}}, Asked: evening, Next: evening.Add(time.Hour)}
	text, err := json.Marshal(f)
	if err != nil || strings.Contains(string(text), "token") {
		t.Fatalf("%s, %v", text, err)
	}
	var again facts.Facts
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	c := gatewaytest.SectionOf(t, "{provider: discover}")
	want, err := line.Find(c, f)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := line.Find(c, again); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	// What another program wrote into it is checked as the line's own answer is.
	bad := strings.Replace(string(text), `"ea_length":16`, `"ea_length":99`, 1)
	if err := json.Unmarshal([]byte(bad), &again); err == nil || err.Error() != "map_e.rules[0].ea_length: 99 is outside 0 to 48" {
		t.Error(err)
	}
}

func TestResolversOf(t *testing.T) {
	const told = "2001:db8::53 fe80::1 fe80::2%7 [2001:db8::54]:5353%2#dns.example [2001:db8::55]:53 192.168.1.1 127.0.0.53 ::1 ::ffff:192.0.2.1 ff02::1 2001:db8::53 nonsense"
	var got []string
	for _, s := range line.ResolversOf(strings.Fields(told), "eth1") {
		got = append(got, s.String())
	}
	want := []string{"[2001:db8::53]:53", "[fe80::1%eth1]:53", "[fe80::2%eth1]:53", "[2001:db8::54]:5353", "[2001:db8::55]:53", "192.168.1.1:53"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
}

// TestResolvers: networkd's for the link, else resolv.conf's, else what systemd-resolved would ask.
func TestResolvers(t *testing.T) {
	wan := kernel.Link{Name: "eth1", Index: 3}
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"networkd", map[string]string{"run/systemd/netif/links/3": "OPER_STATE=routable\nDNS=2001:db8::1 192.168.1.1 2001:db8::2\n", "etc/resolv.conf": "nameserver 2001:db8::3\n"}, "[2001:db8::1]:53 [2001:db8::2]:53"},
		{"networkd has none", map[string]string{"run/systemd/netif/links/3": "DNS=\n", "etc/resolv.conf": "# x\nsearch a\nnameserver 192.168.1.1\nnameserver 2001:db8::3 # y\n"}, "[2001:db8::3]:53"},
		{"a stub", map[string]string{"etc/resolv.conf": "nameserver 127.0.0.53\n", "run/systemd/resolve/resolv.conf": "nameserver 2001:db8::4\n"}, "[2001:db8::4]:53"},
		{"many", map[string]string{"run/systemd/netif/links/3": "DNS=2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4 2001:db8::5\n"}, "[2001:db8::1]:53 [2001:db8::2]:53 [2001:db8::3]:53 [2001:db8::4]:53"},
		{"none", nil, ""},
	} {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		h := &host.Host{Root: root}
		for name, text := range test.files {
			if err := h.Replace("/"+name, 0o644, text); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, s := range line.LineResolvers(h, wan) {
			got = append(got, s.String())
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, want %s", test.name, got, test.want)
		}
	}
}

package line

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

const aftr = "gw.example.jp"

func aaaa(addresses ...string) (all []dnsmessage.ResourceBody) {
	for _, a := range addresses {
		all = append(all, &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(a).As16()})
	}
	return all
}

func asks(lines ...*hb46pptest.Line) *Asker {
	c := hb46pp.Client{Interface: "lo", Limits: hb46pp.Limits{DNS: 20 * time.Second}}
	for _, l := range lines {
		c.Servers = append(c.Servers, l.Resolver)
	}
	return &Asker{Host: &host.Host{}, Client: c}
}

// TestLookup is what resolvers answer, and what is made of that.
func TestLookup(t *testing.T) {
	t.Parallel()
	knows := func(all ...string) func(*hb46pptest.Line) {
		return func(l *hb46pptest.Line) { l.Set(aftr+".", aaaa(all...)...) }
	}
	fails := func(r dnsmessage.RCode) func(*hb46pptest.Line) { return func(l *hb46pptest.Line) { l.Fail(r) } }
	ignorant := func(*hb46pptest.Line) {}
	for _, test := range []struct {
		name   string
		lines  []func(*hb46pptest.Line)
		want   string // addresses, or the end of the error
		from   int    // which resolver
		absent bool
	}{
		{"addresses in their order", []func(*hb46pptest.Line){knows("2001:db8::b", "2001:db8::a")}, "[2001:db8::b 2001:db8::a]", 0, false},
		{"of the first that has them, after no answer", []func(*hb46pptest.Line){ignorant, fails(hb46pptest.Mute), knows("2001:db8::a"), knows("2001:db8::b")}, "[2001:db8::a]", 2, false},
		{"only what can be a far end", []func(*hb46pptest.Line){knows("::ffff:192.0.2.1", "fe80::1", "::1", "ff02::1", "::", "2001:db8::a")}, "[2001:db8::a]", 0, false},
		{"nothing that can be one", []func(*hb46pptest.Line){knows("::1")}, "asked for gw.example.jp: no IPv6 address", 0, true},
		{"no such name", []func(*hb46pptest.Line){ignorant}, "asked for gw.example.jp: there is no such name: no IPv6 address", 0, true},
		{"no address", []func(*hb46pptest.Line){knows()}, "asked for gw.example.jp: no IPv6 address", 0, true},
		{"all have none", []func(*hb46pptest.Line){knows(), ignorant}, "no IPv6 address", 0, true},
		{"a failure", []func(*hb46pptest.Line){fails(dnsmessage.RCodeServerFailure)}, "it answers ServerFailure", 0, false},
		{"a refusal", []func(*hb46pptest.Line){fails(dnsmessage.RCodeRefused)}, "it answers Refused", 0, false},
		{"no answer", []func(*hb46pptest.Line){fails(hb46pptest.Mute)}, "no answer within 2s", 0, false},
		{"none, and a failure", []func(*hb46pptest.Line){ignorant, fails(dnsmessage.RCodeServerFailure)}, "it answers ServerFailure", 0, false},
		{"a failure, and none", []func(*hb46pptest.Line){fails(dnsmessage.RCodeServerFailure), ignorant}, "it answers ServerFailure", 0, false},
		{"no resolver", nil, "no IPv6 resolver of lo is known, neither to networkd nor in /etc/resolv.conf: only the line's own one is asked for gw.example.jp", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var lines []*hb46pptest.Line
			for _, set := range test.lines {
				l := hb46pptest.New(t)
				set(l)
				lines = append(lines, l)
			}
			a := asks(lines...)
			if strings.Contains(test.name, "no answer") {
				a.Client.DNS = 2 * time.Second
			}
			answer, err := a.lookup(t.Context(), a.Client, aftr)
			if err != nil {
				if !strings.HasSuffix(err.Error(), test.want) || errors.Is(err, discovery.ErrAbsent) != test.absent {
					t.Errorf("%v; want %s, absent: %v", err, test.want, test.absent)
				}
				return
			}
			want := discovery.Addresses{All: answer.All, Server: lines[test.from].Resolver, TTL: time.Minute}
			if !reflect.DeepEqual(answer, want) || netipText(answer.All) != test.want {
				t.Errorf("%+v, want %s", answer, test.want)
			}
		})
	}
	closed := asks()
	closed.Client.Servers = []netip.AddrPort{netip.MustParseAddrPort("[::1]:9")}
	if _, err := closed.lookup(t.Context(), closed.Client, aftr); err == nil || err.Error() != "the line's resolver ::1, asked for gw.example.jp: read: connection refused" {
		t.Error(err) // The port of this end is another one each time.
	}
	a := asks(hb46pptest.New(t))
	if _, err := a.lookup(t.Context(), a.Client, strings.Repeat("a", 300)); err == nil {
		t.Error("a name too long is looked up")
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	if err := a.resolve(ended, Line{FarEnd: aftr}, facts.Facts{}, false); err == nil || err.Error() != "over" || a.LatestNames(nil) != nil {
		t.Errorf("%v, %v: a run that ends has learnt nothing", err, a.LatestNames(nil))
	}
}

func netipText(all []netip.Addr) string {
	var words []string
	for _, a := range all {
		words = append(words, a.String())
	}
	return "[" + strings.Join(words, " ") + "]"
}

// TestLookupForged: answers to other questions are skipped, and one that does not fit is asked for by TCP. The aliases
// expire as well.
func TestLookupForged(t *testing.T) {
	t.Parallel()
	dial := func(network string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			b := make([]byte, 1500)
			n, err := far.Read(b)
			if err != nil {
				return
			}
			query := b[:n]
			if network == "tcp" {
				query = query[2:]
			}
			var m dnsmessage.Message
			if m.Unpack(query) != nil {
				return
			}
			say := func(m dnsmessage.Message) {
				packed, _ := m.Pack()
				if network == "tcp" {
					far.Write(binary.BigEndian.AppendUint16(nil, uint16(len(packed))))
				}
				far.Write(packed)
			}
			say(m) // the question itself
			m.Response = true
			header := dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 600}
			m.Answers = []dnsmessage.Resource{{Header: header, Body: aaaa("2001:db8::bad")[0]}}
			forged := m
			forged.ID++
			say(forged)
			forged = m
			forged.Questions = []dnsmessage.Question{m.Questions[0]}
			forged.Questions[0].Name = dnsmessage.MustNewName("other.example.")
			say(forged)
			if network == "udp" {
				far.Write([]byte{1, 2, 3})
				m.Truncated, m.Answers = true, nil
				say(m)
				return
			}
			m.Answers[0].Body = aaaa("2001:db8::a")[0]
			alias := header
			alias.TTL = 60
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: alias, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("b.example.")}})
			say(m)
		}()
		return near, nil
	}
	got, err := lookup(t.Context(), dial, aftr)
	if err != nil || netipText(got.All) != "[2001:db8::a]" || got.TTL != time.Minute {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestFarEnd is when a far end is asked for, and what stays known of it: on the disk too, and where that is full.
func TestFarEnd(t *testing.T) {
	t.Parallel()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l := hb46pptest.New(t)
	l.Set(aftr+".", aaaa("2001:db8::a", "2001:db8::b")...)
	a := asks(l)
	a.Root = root
	wan := kernel.Link{Name: "eth1", Addresses: []kernel.Inet{{Prefix: netip.MustParsePrefix("2400:db8:12:3400::1/64")}}}
	found := Line{WAN: wan, FarEnd: "GW.example.jp."}
	f := facts.Facts{Live: true}
	look := func() discovery.Name {
		t.Helper()
		kept, err := discovery.ReadNames(a.Host)
		if err != nil {
			t.Error(err)
		}
		f.FarEnds = a.LatestNames(kept)
		return f.FarEnds[aftr]
	}
	due := func(want time.Time) {
		t.Helper()
		if got := NextQuestion(nil, found, f, time.Now()); !got.Equal(want) {
			t.Errorf("it is due at %v, want %v", got, want)
		}
	}
	if got := nextName(found, f, time.Now()); got.IsZero() || got.After(time.Now()) {
		t.Errorf("the first time is %v", got)
	}
	ask := func(silent bool) {
		t.Helper()
		if err := a.Ask(t.Context(), nil, found, f, silent); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.FarEnds.Of(aftr); err == nil || err.Error() != "the line's resolvers have not been asked for gw.example.jp yet: apply, install or watch asks them" {
		t.Error(err)
	}
	ask(false)
	n := look()
	if got, err := f.FarEnds.Of(found.FarEnd); err != nil || got != netip.MustParseAddr("2001:db8::a") || n.Server != l.Resolver || n.Until.Sub(n.Asked) != time.Minute {
		t.Errorf("%v, %v: %+v", got, err, n)
	}
	due(n.Asked.Add(5 * time.Minute))

	l.Fail(hb46pptest.Mute)
	a.Client.DNS = 100 * time.Millisecond
	ask(true)
	a.Client.DNS = 20 * time.Second
	n = look()
	if got, err := f.FarEnds.Of(aftr); err != nil || got != netip.MustParseAddr("2001:db8::a") || n.Problem == "" || n.Trouble() != "" {
		t.Errorf("%v, %v: %+v", got, err, n)
	}
	l.Fail(dnsmessage.RCodeNameError)
	ask(false)
	if n = look(); !n.Absent || !strings.HasSuffix(n.Trouble(), "there is no such name: no IPv6 address") || n.Address != netip.MustParseAddr("2001:db8::a") {
		t.Errorf("%+v", n)
	}

	// Another process, on another line.
	a = asks(l)
	a.Root = root
	look()
	found.WAN.Addresses = []kernel.Inet{{Prefix: netip.MustParsePrefix("2400:db8:12:3500::1/64")}}
	due(n.Asked.Add(DiscoveryPause))
	l.Fail(dnsmessage.RCodeSuccess)
	l.Set(aftr+".", aaaa("2001:db8::b")...)
	if err := root.RemoveAll("var"); err != nil {
		t.Fatal(err)
	}
	if err := root.WriteFile("var", nil, 0o600); err != nil { // There can be no such directory.
		t.Fatal(err)
	}
	if err := a.Ask(t.Context(), nil, found, f, false); !errors.Is(err, discovery.ErrUnkept) {
		t.Error(err)
	}
	f.FarEnds = a.LatestNames(nil)
	if n := f.FarEnds[aftr]; n.Address != netip.MustParseAddr("2001:db8::b") || n.Problem != "" {
		t.Errorf("%+v", n)
	}

	found.WAN.Addresses = nil
	due(time.Time{})
	found.FarEnd = ""
	due(time.Time{})
}

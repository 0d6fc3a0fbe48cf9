package hb46pp

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

var ports = regexp.MustCompile(`example\.jp:[0-9]+`)

func TestAsk(t *testing.T) {
	l := newLine(t)
	l.TXT("v=v6mig-1 url=" + l.Good(sample) + "/rule.cgi t=b")
	answer, err := l.ask(Question{})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Reply.Name() != "Highspeed 4over6 (A VNE)" || len(answer.Reply.MAPE.Rules) != 1 || answer.NoStore {
		t.Errorf("%+v", answer)
	}
	asked := l.Asked()[0]
	if asked.Path != "/rule.cgi" || asked.RawQuery != "vendorid=020000-mape_netplan&product=mape-netplan&version=1_4_2&capability=map_e,map_t,lw4o6,dslite,ipip,hubspoke" {
		t.Errorf("asked %s", asked)
	}
	// The next question carries the token.
	if answer.Token.Value != someToken {
		t.Fatalf("token %+v", answer.Token)
	}
	if _, err := l.ask(Question{Token: answer.Token}); err != nil || l.Asked()[1].Query().Get("token") != someToken {
		t.Errorf("asked %s, %v", l.Asked()[1], err)
	}
}

// TestAskKinds: each way of section 3.2 that the specification allows.
func TestAskKinds(t *testing.T) {
	for name, start := range map[string]func(*line, http.HandlerFunc) string{
		"http": func(l *line, h http.HandlerFunc) string { return l.Serve(nil, h) + "/ t=a" },
		"self-signed, not checked": func(l *line, h http.HandlerFunc) string {
			ca, key := hb46pptest.Authority(t)
			return l.Serve(l.CertificateFrom(ca, key, "someone.example", ca.NotAfter), h) + "/ t=a"
		},
		"good, not checked": func(l *line, h http.HandlerFunc) string { return l.Serve(l.Certificate("vne.example.jp"), h) + "/ t=a" },
		"good, checked":     func(l *line, h http.HandlerFunc) string { return l.Serve(l.Certificate("vne.example.jp"), h) + "/ t=b" },
		"an address": func(l *line, h http.HandlerFunc) string {
			return strings.Replace(l.Serve(nil, h), "vne.example.jp", "[::1]", 1) + "/ t=a"
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLine(t)
			var sni string
			l.TXT("v=v6mig-1 url=" + start(l, func(w http.ResponseWriter, r *http.Request) {
				if r.TLS != nil {
					sni = r.TLS.ServerName
				}
				w.Header().Set("Cache-Control", "private, No-Store")
				w.Write([]byte(sample))
			}))
			answer, err := l.ask(Question{})
			if err != nil || !answer.NoStore {
				t.Errorf("%+v, %v", answer, err)
			}
			if strings.Contains(name, "http") == false && name != "an address" && sni != "vne.example.jp" {
				t.Errorf("SNI %q", sni)
			}
		})
	}
}

// TestRedirections: 307 is followed, and says all again at the next server.
func TestRedirections(t *testing.T) {
	l := newLine(t)
	end := l.Good(sample)
	other := strings.Replace(end, "vne", "other", 1)
	// The other server is the same one by another name, so its certificate is for vne: with t=a that is no matter.
	start := l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other+"/x?y=z", http.StatusTemporaryRedirect)
	})
	l.TXT("v=v6mig-1 url=" + start + "/ t=a")
	answer, err := l.ask(Question{})
	if err != nil {
		t.Fatal(err)
	}
	if last := l.Asked()[1]; last.Path != "/x" || last.Query().Get("y") != "z" || last.Query().Get("capability") != "map_e,map_t,lw4o6,dslite,ipip,hubspoke" {
		t.Errorf("asked %s", last)
	}
	if !slices.Equal(answer.Token.Origins, []string{start, other}) || answer.Token.Verified {
		t.Errorf("token %+v", answer.Token)
	}
}

// TestDNS: which failures take a tunnel down, and which do not.
func TestDNS(t *testing.T) {
	l := newLine(t)
	l.wantFailure(Absent, "the line's resolver (::1) has no TXT record of 4over6.info.: the provider has no HB46PP")
	l.TXT() // NODATA
	l.wantFailure(Absent, "the line's resolver (::1) has no TXT record of 4over6.info.: the provider has no HB46PP")
	for rcode, want := range map[dnsmessage.RCode]string{
		dnsmessage.RCodeServerFailure: "resolver ::1: TXT of 4over6.info.: server misbehaving",
		dnsmessage.RCodeRefused:       "resolver ::1: TXT of 4over6.info.: server misbehaving",
		hb46pptest.Mute:               "resolver ::1: TXT of 4over6.info.: no answer within 300ms",
	} {
		l.Fail(rcode)
		l.wantFailure(Unresolved, want)
	}
	l.Fail(0)
	l.TXT("v=v6mig-1 url=https://a/ t=b", "v=spf1 -all")
	l.wantFailure(Unresolved, `resolver ::1: 4over6.info. there are 2 TXT records: it must be one record "v=v6mig-1 url=https://… t=a", or t=b`)
	l.TXT("v=v6mig-1 url=http://a/ t=b")
	l.wantFailure(Unresolved, `resolver ::1: 4over6.info. TXT record "v=v6mig-1 url=http://a/ t=b": t=b needs a certificate, which http does not have: it must be https with t=b, or t=a`)
	l.client.Servers = nil
	l.wantFailure(Unresolved, "no resolver of the line is known")
}

// TestSeveralResolvers: the first that has the record is used, and it is absent only if none has it.
func TestSeveralResolvers(t *testing.T) {
	l, public, broken := newLine(t), newLine(t), newLine(t)
	broken.Fail(dnsmessage.RCodeServerFailure)
	l.TXT("v=v6mig-1 url=" + l.Good(sample) + "/ t=b")
	lines := func(all ...*line) (servers []netip.AddrPort) {
		for _, x := range all {
			servers = append(servers, x.client.Servers[0])
		}
		return servers
	}
	own := lines(l)
	l.client.Servers = append(lines(public, broken), own...)
	if _, err := l.ask(Question{}); err != nil {
		t.Error(err)
	}
	l.client.Servers = lines(public, broken)
	l.wantFailure(Unresolved, "resolver ::1: TXT of 4over6.info.: server misbehaving")
	l.client.Servers = lines(public, public)
	l.wantFailure(Absent, "the line's resolver (::1, ::1) has no TXT record of 4over6.info.: the provider has no HB46PP")
}

// TestTargets: where a server cannot be.
func TestTargets(t *testing.T) {
	l := newLine(t)
	mapped := netip.MustParseAddr("::ffff:192.0.2.1").As16()
	for name, address := range map[string][16]byte{
		"mapped.example.jp.": mapped,
		"local.example.jp.":  netip.MustParseAddr("fe80::1").As16(),
		"multi.example.jp.":  netip.MustParseAddr("ff02::1").As16(),
		"none.example.jp.":   {},
		"self.example.jp.":   netip.IPv6Loopback().As16(),
	} {
		l.Set(name, &dnsmessage.AAAAResource{AAAA: address})
	}
	l.Set("ipv4.example.jp.")
	l.client.Loopback = false
	for host, want := range map[string]string{
		"mapped.example.jp":  "resolver ::1: no IPv6 address",
		"local.example.jp":   "fe80::1 is a link-local address, which a provisioning server cannot have",
		"multi.example.jp":   "ff02::1 is a multicast address, which a provisioning server cannot have",
		"none.example.jp":    ":: is the unspecified address, which a provisioning server cannot have",
		"self.example.jp":    "::1 is a loopback address, which a provisioning server cannot have",
		"[::1]":              "::1 is a loopback address, which a provisioning server cannot have",
		"[fe80::1%25eth0]":   "fe80::1%eth0 is a link-local address, which a provisioning server cannot have",
		"[::ffff:127.0.0.1]": "::ffff:127.0.0.1 is an IPv4-mapped address, which a provisioning server cannot have",
		"ipv4.example.jp":    "resolver ::1: no IPv6 address",
		"nobody.example.jp":  "resolver ::1: no IPv6 address",
	} {
		l.TXT("v=v6mig-1 url=https://" + host + "/ t=b")
		l.wantFailure(NoValidAnswer, "https://"+mustURL("https://"+host).Host+"/: "+want)
	}
}

// TestInside: a forged record cannot have a request sent to this machine or its neighbours.
func TestInside(t *testing.T) {
	c := Client{Inside: []netip.Prefix{netip.MustParsePrefix("2400:4050:5c71:af00::5/64"), netip.MustParsePrefix("fd00:1::1/64"), netip.MustParsePrefix("2001:db8::7/128")}}
	for address, ok := range map[string]bool{
		"2400:4050:5c71:af00::5": false, "2400:4050:5c71:af00::1": false, "fd00:1::9": false, "2001:db8::7": false, "::1": false, "fe80::1": false,
		"2001:db8::8": true, "2400:4050:5c71:af01::5": true,
	} {
		if err := c.checkTarget(netip.MustParseAddr(address)); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

package line

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
	"mape-netplan/reconcile/provider/registration"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

const (
	ceAddress = "2001:db8:1:2::feed"
	user      = "user01"
	password  = "p&ss w%rd"
)

// A contracted is a machine on a line of fixed IPv4, with the provider's server and resolver behind it.
type contracted struct {
	*Asker
	Line
	f      facts.Facts
	server string // its address and port

	mu    sync.Mutex
	asked []string // source, request and authorization of each question
}

func newContracted(t *testing.T, provider, url string, answer http.HandlerFunc) *contracted {
	gw, isp := hosttest.NewNS(t), hosttest.NewNS(t)
	hosttest.Veth(t, gw, "eth1", "", isp, "net0", "")
	gw.Exec(t, "sh", "-ec", "ip addr add 2001:db8:1:2::1/64 dev eth1 nodad; ip addr add "+ceAddress+"/128 dev eth1 nodad; ip -6 route add default dev eth1")
	isp.Exec(t, "sh", "-ec", "ip addr add 2001:db8:ff::80/128 dev net0 nodad; ip addr add 2001:db8:ff::81/128 dev net0 nodad; ip addr add 2001:db8:ff::82/128 dev net0 nodad; ip -6 route add 2001:db8:1:2::/64 dev net0")
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &contracted{f: facts.Facts{Live: true}}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		host, _, _ := strings.Cut(r.Host, ":")
		c.mu.Lock()
		c.asked = append(c.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s%s %s", from, r.Method, host, r.RequestURI, r.Header.Get("Authorization"))))
		c.mu.Unlock()
		answer(w, r)
	}))
	s.Listener.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	var resolver *hb46pptest.Line
	isp.Do(func() {
		s.Listener, err = net.Listen("tcp6", "[2001:db8:ff::80]:0")
		resolver = hb46pptest.NewAt(t, "[2001:db8:ff::81]:0")
	})
	if err != nil {
		t.Fatal(err)
	}
	resolver.Set("update.example.jp.", aaaa("2001:db8:ff::82", "2001:db8:ff::80")...) // Nothing listens at the first.
	s.Start()
	t.Cleanup(s.CloseClientConnections)
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	c.server = "update.example.jp:" + port
	c.Asker = &Asker{
		Host:   &host.Host{Root: root, NS: gw.FD()},
		Client: hb46pp.Client{Servers: []netip.AddrPort{resolver.Resolver}, Limits: hb46pp.Limits{DNS: 5 * time.Second, Server: 5 * time.Second, Total: 20 * time.Second}},
	}
	sw, err := softwire.Given(netip.MustParseAddr(ceAddress), netip.MustParseAddr("2001:db8:ff::1"), netip.MustParsePrefix("192.0.2.18/32"), 0, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Line = Line{WAN: kernel.Link{Name: "eth1"}, Softwire: sw, Contract: &registration.Contract{
		Provider: provider, URL: strings.ReplaceAll(url, "SERVER", c.server), User: user, Password: password}}
	return c
}

// questions are those that the server had so far.
func (c *contracted) questions() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// register registers as the service does, and returns what is known afterwards.
func (c *contracted) register(t *testing.T) *discovery.Announcement {
	t.Helper()
	if err := c.Register(t.Context(), c.Line, c.f); err != nil {
		t.Fatal(err)
	}
	return c.look(t)
}

func (c *contracted) look(t *testing.T) *discovery.Announcement {
	t.Helper()
	kept, err := discovery.ReadAnnouncement(c.Host)
	if err != nil {
		t.Error(err)
	}
	c.f.Announced = c.LatestAnnouncement(kept)
	return c.f.Announced
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
}

// TestRegister is each provider's request as its server sees it: where it comes from and all that is in it.
func TestRegister(t *testing.T) {
	t.Parallel()
	const basic = " Basic dXNlcjAxOnAmc3MgdyVyZA=="
	for _, test := range []struct{ provider, url, says, asked, answer string }{
		{"v6plus", "http://SERVER/update", "OK", ceAddress + " GET update.example.jp/update?user=user01&pass=p%26ss%20w%25rd", "200 OK: OK"},
		{"transix", "http://SERVER/request", "OK", ceAddress + " GET update.example.jp/request?username=user01&password=p%26ss%20w%25rd", "200 OK: OK"},
		{"ocn", "http://SERVER/nic/update?hostname=token-0123", "nochg", "2001:db8:1:2::1 GET update.example.jp/nic/update?hostname=token-0123" + basic, "200 OK: nochg"},
	} {
		c := newContracted(t, test.provider, test.url, says(200, test.says))
		a, asked := c.register(t), c.questions()
		if test.provider == "ocn" && len(asked) == 1 { // Its source is the kernel's choice of two.
			_, rest, _ := strings.Cut(asked[0], " ")
			asked[0] = "2001:db8:1:2::1 " + rest
		}
		if len(asked) != 1 || asked[0] != test.asked || a.Answer != test.answer || a.Problem != "" || a.Since.IsZero() || !a.Next.IsZero() ||
			a.Server != "update.example.jp (http)" || a.CE.String() != ceAddress {
			t.Errorf("%s: asked %q: %+v", test.provider, asked, a)
		}
	}
}

// TestRegisterFails: what a server says against it, or does not say, is kept without anything secret, and what it accepted
// before stays known.
func TestRegisterFails(t *testing.T) {
	t.Parallel()
	silence := make(chan struct{})
	t.Cleanup(func() { close(silence) })
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
		asked  int
	}{
		"NG":     {says(200, "NG"), "it answers 200 OK: NG", 1},
		"500":    {says(500, password), "it answers 500 Internal Server Error", 1},
		"echo":   {says(200, "user01 p&ss w%rd"), "it answers 200 OK with 16 bytes that do not say OK", 1},
		"silent": {func(http.ResponseWriter, *http.Request) { <-silence }, "no complete answer within 1s", 1},
		"cut off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			"the server closed the connection without an answer", 1},
		"no HTTP": {func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, r.URL.RawQuery+"\r\n\r\n")
			conn.Close()
		}, "the server does not answer as HTTP servers do", 1},
		"another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://[2001:db8:ff::80]/?"+r.URL.RawQuery, http.StatusFound)
		}, "it redirects to another host, which is not followed", 1},
		"for ever": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/update", http.StatusTemporaryRedirect)
		},
			"it redirects more than 3 times", 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newContracted(t, "v6plus", "http://SERVER/update", test.answer)
			c.Client.Total = map[bool]time.Duration{true: time.Second, false: 20 * time.Second}[name == "silent"]
			c.f.Announced = discovery.Announce(netip.MustParseAddr(ceAddress), "update.example.jp (http)", secretOf(c.Line)).
				After("200 OK: OK", nil, time.Now().Add(-time.Hour), nil)
			a := c.register(t)
			asked := len(c.questions())
			if name == "silent" { // On a busy machine its second may be over before the server is reached.
				asked = test.asked
			}
			if !strings.HasSuffix(a.Problem, test.want) || a.Failures != 1 || a.Next.Sub(a.Asked) != 10*time.Second || a.Answer != "200 OK: OK" || a.Since.IsZero() || asked != test.asked {
				t.Errorf("asked %d times: %+v", asked, a)
			}
			file, err := c.ReadFile(discovery.AnnouncementPath)
			shown, e := json.Marshal(c.f)
			if err != nil || e != nil || !strings.Contains(string(file), `"credentials"`) {
				t.Errorf("%v, %v: %s", err, e, file)
			}
			for _, secret := range []string{user, password, "ss%20w", "credentials"} {
				if strings.Contains(string(shown), secret) || secret != "credentials" && strings.Contains(string(file), secret) {
					t.Errorf("%q is in\n%s\n%s", secret, file, shown)
				}
			}
		})
	}
}

// TestRegisterFollows a redirection on the same host only.
func TestRegisterFollows(t *testing.T) {
	t.Parallel()
	c := newContracted(t, "v6plus", "http://SERVER/update", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/update" {
			http.Redirect(w, r, "/other?to=it", http.StatusMovedPermanently)
			return
		}
		io.WriteString(w, "OK")
	})
	if a := c.register(t); a.Problem != "" || len(c.questions()) != 2 || !strings.HasSuffix(c.questions()[1], "/other?to=it") {
		t.Errorf("%q: %+v", c.questions(), a)
	}
}

// TestRegisterUnreached: nothing is sent where the server cannot be found or reached, or the CE address is not there.
func TestRegisterUnreached(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://no.example.jp/":             "the line's resolver 2001:db8:ff::81, asked for no.example.jp: there is no such name: no IPv6 address",
		"http://[2001:db8:ff::80]:1/update": "connect: connection refused",
		"http://192.0.2.1/update":           "dial tcp6: address 192.0.2.1: no suitable address found",
	} {
		c := newContracted(t, "v6plus", url, says(200, "OK"))
		if a := c.register(t); !strings.HasSuffix(a.Problem, want) || len(c.questions()) > 0 {
			t.Errorf("%s: %q, %+v", url, c.questions(), a)
		}
	}
	c := newContracted(t, "v6plus", "http://SERVER/update", says(200, "OK"))
	c.Softwire.Carrier = softwire.Tunnel{Local: netip.MustParseAddr("2001:db8:1:2::bad"), Remote: c.Softwire.BR()}
	if a := c.register(t); !strings.HasSuffix(a.Problem, "cannot assign requested address") || len(c.questions()) > 0 {
		t.Errorf("%q, %+v", c.questions(), a)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("over"))
	if err := c.Register(ended, c.Line, c.f); err == nil || err.Error() != "over" {
		t.Error(err)
	}
}

// TestNextRegistration is when a CE address is registered, by a clock that the test sets.
func TestNextRegistration(t *testing.T) {
	t.Parallel()
	ce, now := netip.MustParseAddr(ceAddress), time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	sw := softwire.Softwire{Carrier: softwire.Tunnel{Local: ce}}
	l := Line{Softwire: sw, Contract: &registration.Contract{Provider: "v6plus", User: user, Password: password}}
	request, err := l.Contract.Request(ce)
	if err != nil {
		t.Fatal(err)
	}
	pause := func(failures int) time.Duration { return request.Pause(failures, func() float64 { return 0.5 }) }
	f := facts.Facts{Live: true}
	service, command := &Asker{AtStart: true}, &Asker{}
	due := func(what string, of *Asker, want time.Time) {
		t.Helper()
		if got := of.NextRegistration(l, f, now); !got.Equal(want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	due("never registered, service", service, now)
	due("never registered, command", command, now)

	// It fails for an hour.
	a := discovery.Announce(ce, "fcs.enabler.ne.jp", secretOf(l))
	for i, wait := range []time.Duration{10 * time.Second, 10 * time.Second, 20 * time.Minute, 20 * time.Minute} {
		f.Announced = a.After("", errors.New("no"), now, pause)
		service.announced.Store(f.Announced)
		due(fmt.Sprint("after failure ", i+1), service, now.Add(wait))
		a, now = f.Announced, now.Add(wait)
	}
	f.Announced = a.After("200 OK: OK", nil, now, pause)
	service.announced.Store(f.Announced)
	if a := f.Announced; a.Problem != "" || a.Failures != 0 || !a.Since.Equal(now) {
		t.Errorf("%+v", a)
	}
	now = now.Add(24 * time.Hour)
	due("accepted", service, time.Time{})
	due("accepted, command", command, time.Time{})
	due("a service that starts", &Asker{AtStart: true}, now)

	// Anything that the provider has to be told of.
	l.Softwire.Carrier = softwire.Tunnel{Local: netip.MustParseAddr("2001:db8:1:3::feed")}
	due("another CE address", service, now)
	l.Softwire = sw
	for _, change := range []func(*registration.Contract){
		func(c *registration.Contract) { c.Password = "x" }, func(c *registration.Contract) { c.User = "x" },
		func(c *registration.Contract) { c.URL = "http://x/" }, func(c *registration.Contract) { c.Provider = "transix" },
	} {
		changed := *l.Contract
		was := l.Contract
		change(&changed)
		l.Contract = &changed
		due("other credentials", command, now)
		l.Contract = was
	}
	now = now.Add(-48 * time.Hour)
	due("the clock was set back", service, now)

	f.Announced = nil
	for what, absent := range map[string]func() (Line, facts.Facts){
		"no contract": func() (Line, facts.Facts) { return Line{Softwire: sw}, f },
		"no softwire": func() (Line, facts.Facts) { return Line{Contract: l.Contract}, f },
		"no WAN": func() (Line, facts.Facts) {
			return Line{Softwire: sw, Contract: l.Contract, NoWAN: errors.New("no")}, f
		},
		"an image": func() (Line, facts.Facts) { return l, facts.Facts{} },
	} {
		if of, f := absent(); !service.NextRegistration(of, f, now).IsZero() {
			t.Errorf("%s: it registers", what)
		}
	}
}

// TestCheckContract: what a section says of its registration is checked without a machine, and none of it is shown.
func TestCheckContract(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{provider: v6plus, user: "hush-user", password: "hush-hush"}`:                                                       "",
		`{provider: ocn, url: "http://ipoe-static.ocn.ad.jp/nic/update?hostname=hush", user: "hush-user", password: "hush"}`: "",
		`{provider: v6connect, user: "hush-user", password: "hush-hush"}`:                                                    "url is missing",
		`{provider: xpass, url: "http://a.example/?d=hush", user: "hush-user", password: "hush-hush"}`:                       "url must begin with https",
		`{provider: v6plus, user: "hush-user"}`:                                                                              "user and password of the contract are missing",
		`{url: "https://hush:hush@a.example/"}`:                                                                              "without a user in it",
	} {
		c, err := schema.Parse("gw.yaml", []byte("mape:\n  ipip:\n    ipv4: 192.0.2.18\n    br: 2001:db8::1\n    ce: 2001:db8:1:2::feed\n    registration: "+text+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		err = Check(c)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) || err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
		if shown, err := json.Marshal(contract(c)); err != nil || strings.Contains(string(shown), "hush") {
			t.Errorf("%s: %s, %v", text, shown, err)
		}
	}
}

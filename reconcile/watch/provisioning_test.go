package watch

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mape-netplan/reconcile"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
	"mape-netplan/reconcile/resource"
)

// ceOfOffer is the CE address that the offer makes of offerAddress.
const (
	offerAddress = "2400:db8:12:3400::1/64"
	ceOfOffer    = "2400:db8:12:3400:c0:2:1200:3400"
)

// A watchedLine is a watch and the line that it asks.
type watchedLine struct {
	*hb46pptest.Line
	*service
	answer   atomic.Pointer[string] // of the server
	breakOff chan struct{}          // closed when a server that does not answer is to give up
}

func newWatchedLine(t *testing.T) *watchedLine {
	g := newMachine(t)
	l := &watchedLine{Line: hb46pptest.New(t), breakOff: make(chan struct{})}
	l.tells(gatewaytest.Offer)
	g.Client = gatewaytest.ClientOf(l.Line)
	g.Client.Limits = hb46pp.Limits{DNS: patience, Server: patience, Total: patience, Body: 1 << 20}
	g.Exec(t, "ip", "address", "add", offerAddress, "dev", "eth1")
	l.TXT("v=v6mig-1 url=" + l.Serve(l.Certificate("vne.example.jp"), l.serve) + "/c t=b")
	l.service = startService(t, g, "{wan: eth1, lan: eth0, provider: discover}")
	return l
}

// tells sets what the server answers from now on; "" is nothing.
func (l *watchedLine) tells(text string) { l.answer.Store(&text) }

func (l *watchedLine) serve(w http.ResponseWriter, r *http.Request) {
	text := *l.answer.Load()
	if text == "" {
		<-l.breakOff
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, text)
}

// runsOut makes the last answer run out.
func (l *watchedLine) runsOut(t *testing.T) {
	t.Helper()
	l.looks(t)
	l.forget()
	known := *l.provisioning.Latest(discovery.Cached(l.H))
	known.Next = time.Now()
	l.provisioning.Last.Store(&known)
	l.events.Wake()
}

// TestWatchAsksTheLine: a line provides rules, changes them, is down, has none any more and has some again, each time when
// its last answer has run out.
func TestWatchAsksTheLine(t *testing.T) {
	t.Parallel()
	l := newWatchedLine(t)
	log := func(words ...string) { t.Helper(); t.Log(l.says(t, words...)) }
	log("CE "+ceOfOffer+", IPv4 192.0.2.18/32", "changed in")
	l.looks(t)
	if n := len(l.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}

	l.tells(strings.Replace(gatewaytest.Offer, "192.0.2.0/24", "198.51.100.0/24", 1))
	l.runsOut(t)
	log("IPv4 198.51.100.18/32", "changed in")

	l.tells("<html>")
	l.runsOut(t)
	log("<4>asking the line for its rules (HB46PP) failed: https://vne.example.jp", "the rules that it gave before stay in force")
	l.Exec(t, "nft", "delete", "table", "ip", "mape")
	log("restored table ip mape")
	l.looks(t)
	l.await(t, "an outage changes nothing", func() bool {
		return strings.Contains(l.status(), "\nSTATUS=CE 2400:db8:12:3400:c6:3364:1200:3400, IPv4 198.51.100.18/32, tunnel mape0")
	})

	for _, gone := range []string{gatewaytest.Only464XLAT, gatewaytest.Nothing} {
		l.tells(gone)
		l.runsOut(t)
		log("<3>eth1 has 2400:db8:12:3400::1/64: ", " offers this line ")
		log("no gateway: the line has withdrawn its service; changed in", "table ip mape", "file "+netplan.Path)
		l.looks(t)
		for _, left := range []string{"nft list tables", "ip -6 address show dev eth1 to " + ceOfOffer, "cat " + l.Dir + netplan.Path + " " + l.Dir + facts.SectionPath + " 2>/dev/null || true"} {
			if out := l.Exec(t, "sh", "-c", left); out != "" {
				t.Errorf("%s: there is still %s", left, out)
			}
		}
		if n := l.said("no gateway: "); n != 1 {
			t.Errorf("it says %q", l.log)
		}

		l.tells(gatewaytest.Offer)
		l.runsOut(t)
		log("CE "+ceOfOffer+", IPv4 192.0.2.18/32", "changed in", "table ip mape")
		l.looks(t)
		if c, err := facts.LastSection(l.H); c == nil || c.WAN != "eth1" {
			t.Errorf("the copy of the section is %v, %v", c, err)
		}
	}
	if n := len(l.Asked()); n != 7 {
		t.Errorf("asked %d times", n)
	}
}

// TestWatchRepairsWhileAsking: a server that does not answer delays nothing.
func TestWatchRepairsWhileAsking(t *testing.T) {
	t.Parallel()
	l := newWatchedLine(t)
	l.says(t, "CE "+ceOfOffer, "changed in")
	l.tells("")
	l.runsOut(t)
	l.await(t, "it asks", func() bool { return len(l.Asked()) == 2 })
	l.Exec(t, "nft", "delete", "table", "ip", "mape")
	l.says(t, "restored table ip mape")
	if l.said("asking the line") > 0 {
		t.Errorf("the question had ended before: %q", l.log)
	}
	close(l.breakOff)
	l.says(t, "<4>asking the line for its rules (HB46PP) failed: https://vne.example.jp", "the rules that it gave before stay in force")
	l.tells(gatewaytest.Offer)
	l.runsOut(t)
	l.says(t, "the line provides its rules again")
}

// TestGuardOfDiscovered puts the NAT of the rules that the line gave last in place at boot, before the line can be asked.
func TestGuardOfDiscovered(t *testing.T) {
	t.Parallel()
	l := newWatchedLine(t)
	l.says(t, "CE "+ceOfOffer, "changed in")
	l.looks(t)
	l.stop()
	table := func() string {
		live, err := resource.Table{}.Read(t.Context(), l.H)
		if err != nil {
			t.Fatal(err)
		}
		return live.Text()
	}
	before := table()
	boot := func() (g gateway.Guard, now string) {
		t.Helper()
		l.Exec(t, "sh", "-ec", "nft flush ruleset; ip address flush dev eth1 scope global")
		l.Do(func() {
			var made bool
			var err error
			if g, made, err = reconcile.NewRun(l.H).PutGuard(t.Context(), gatewaytest.SectionOf(t, "{wan: eth1, lan: eth0, provider: discover}")); err != nil || !made {
				t.Errorf("made %v: %v", made, err)
			}
		})
		return g, table()
	}
	if g, now := boot(); g.Why != nil || now != before {
		t.Errorf("%v: the guard is\n%s", g.Why, now)
	}
	for what, why := range map[string]string{"[[[": "cannot be read", "": "has not been asked"} {
		if err := (discovery.Cache{Data: what}).Write(t.Context(), l.H); err != nil {
			t.Fatal(err)
		}
		if g, now := boot(); g.Why == nil || !strings.Contains(g.Why.Error(), why) || !strings.Contains(now, `oifname "mape0" drop`) {
			t.Errorf("the file has %q: %v: the guard is\n%s", what, g.Why, now)
		}
	}
	if n := len(l.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestWatchKeepsSecrets: neither the log nor the status has what only the server may know, whatever that sends back.
func TestWatchKeepsSecrets(t *testing.T) {
	t.Parallel()
	l := newWatchedLine(t)
	l.says(t, "CE "+ceOfOffer, "changed in")
	l.TXT("v=v6mig-1 url=" + l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://%zz?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}) + "/c t=b")
	l.section(t, "{wan: eth1, lan: eth0, provider: discover, discover: {user: hush-1, password: hush-2, server: vne.example.jp}}")
	l.runsOut(t)
	l.says(t, "<4>asking the line for its rules (HB46PP) failed", "which is not a URL")
	l.section(t, "{wan: eth1, discover: {user: hush-1, password: hush-2, server: vne.example.jp, port: 1}}")
	l.says(t, "<3>section:1:")
	l.section(t, "{wan: eth1, discover: {user: hush-1, password: *hush-2}}")
	l.await(t, "another error", func() bool { return strings.Count(strings.Join(l.log, "\n"), "<3>section:1:") == 2 })
	l.looks(t)
	l.stop()
	if all := strings.Join(append(l.log, l.states...), "\n"); strings.Contains(all, "hush") {
		t.Error(all)
	}
	if asked := l.Asked(); asked[len(asked)-1].Query().Get("pass") != "hush-2" {
		t.Errorf("asked %v", asked)
	}
}

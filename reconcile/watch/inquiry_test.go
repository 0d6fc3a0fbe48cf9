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
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
	"mape-netplan/reconcile/resource"
)

// ceOfOffer is the CE address that the offer makes of offerAddress.
const (
	offerAddress = "2400:db8:12:3400::1/64"
	ceOfOffer    = "2400:db8:12:3400:c0:2:1200:3400"
)

// A watchedLine is a watch, and the line that it asks.
type watchedLine struct {
	*hb46pptest.Line
	*watchNS
	answer atomic.Pointer[string] // of the server
}

func newWatchedLine(t *testing.T) *watchedLine {
	g := gatewaytest.NewMachine(t)
	l := &watchedLine{Line: hb46pptest.New(t)}
	l.tells(gatewaytest.Offer)
	g.Client = gatewaytest.ClientOf(l.Line)
	g.Client.Limits.Server = 3 * time.Second
	g.Exec(t, "sh", "-ec", "ip link add mape0 type bridge; ip link set mape0 up; ip address add "+offerAddress+" dev eth1")
	l.TXT("v=v6mig-1 url=" + l.Serve(l.Certificate("vne.example.jp"), l.serve) + "/c t=b")
	l.watchNS = startWatch(t, g, "{wan: eth1, lan: eth0, provider: discover}")
	return l
}

// tells is what the server answers from now on; "" is nothing, ever.
func (l *watchedLine) tells(text string) { l.answer.Store(&text) }

func (l *watchedLine) serve(w http.ResponseWriter, r *http.Request) {
	text := *l.answer.Load()
	if text == "" {
		<-r.Context().Done()
	}
	io.WriteString(w, text)
}

// due makes what is known run out in a moment. No event tells of that.
func (l *watchedLine) due(t *testing.T) {
	t.Helper()
	l.rest(t)
	l.forget()
	known := *l.asker.Latest(discovery.Cached(l.H))
	known.Next = time.Now().Add(time.Second)
	l.asker.Learnt.Store(&known)
	l.events.Awake() // It sleeps until what ran out before.
}

// TestWatchAsksTheLine lets a line tell its rules, change them, be down, have
// none any more and have some again: each time when what it told has run out.
func TestWatchAsksTheLine(t *testing.T) {
	l := newWatchedLine(t)
	log := func(most time.Duration, words ...string) { t.Helper(); t.Log(l.says(t, most, words...)) }
	log(10*second, "CE "+ceOfOffer+", IPv4 192.0.2.18/32", "changed in")
	l.rest(t)
	if n := len(l.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}

	l.due(t)
	l.tells(strings.Replace(gatewaytest.Offer, "192.0.2.0/24", "198.51.100.0/24", 1))
	log(5*second, "IPv4 198.51.100.18/32", "changed in")

	l.due(t)
	l.tells("<html>")
	log(5*second, "<4>the line was asked for its rules (HB46PP): https://vne.example.jp", "those that it gave before hold")
	l.Exec(t, "nft", "delete", "table", "ip", "mape")
	log(second, "mended table ip mape")
	if got := l.rest(t); l.line != "CE 2400:db8:12:3400:c6:3364:1200:3400, IPv4 198.51.100.18/32, tunnel mape0" {
		t.Errorf("pass %d: an outage makes it %s", got, l.line)
	}

	for _, gone := range []string{gatewaytest.OnlyDSLite, gatewaytest.Nothing} {
		l.due(t)
		l.tells(gone)
		log(5*second, "<3>eth1 has 2400:db8:12:3400::1/64: ", " offers this line ")
		log(5*second, "none: the line has withdrawn its service; changed in", "table ip mape", "file "+netplan.Path)
		l.rest(t)
		for _, left := range []string{"nft list tables", "ip -6 address show dev eth1 to " + ceOfOffer, "cat " + l.Dir + netplan.Path + " 2>/dev/null || true"} {
			if out := l.Exec(t, "sh", "-c", left); out != "" {
				t.Errorf("%s: there is still %s", left, out)
			}
		}
		if n := strings.Count(strings.Join(l.log, "\n"), "none: "); n != 1 {
			t.Errorf("it says %q", l.log)
		}

		l.due(t)
		l.tells(gatewaytest.Offer)
		log(5*second, "CE "+ceOfOffer+", IPv4 192.0.2.18/32", "changed in", "table ip mape")
	}
	if n := len(l.Asked()); n != 7 {
		t.Errorf("asked %d times", n)
	}
}

// TestWatchMendsWhileAsking: a server that does not answer holds nothing up.
func TestWatchMendsWhileAsking(t *testing.T) {
	l := newWatchedLine(t)
	l.says(t, 10*second, "CE "+ceOfOffer, "changed in")
	l.tells("")
	l.due(t)
	l.await(t, "it asks", 5*second, func() bool { return len(l.Asked()) == 2 })
	l.Exec(t, "nft", "delete", "table", "ip", "mape")
	l.says(t, second, "mended table ip mape")
	if log := strings.Join(l.log, "\n"); strings.Contains(log, "asked for its rules") {
		t.Errorf("the question had ended before:\n%s", log)
	}
	l.says(t, 10*second, "<4>the line was asked for its rules (HB46PP): https://vne.example.jp", "no answer within 3s; those that it gave before hold")
	l.tells(gatewaytest.Offer)
	l.due(t)
	l.says(t, 5*second, "the line tells its rules again")
}

// TestGuardOfDiscovered puts at boot, when nobody can be asked, the NAT in place
// whose rules the line told before.
func TestGuardOfDiscovered(t *testing.T) {
	l := newWatchedLine(t)
	l.says(t, 10*second, "CE "+ceOfOffer, "changed in")
	l.rest(t)
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

// TestWatchKeepsSecrets: neither the log nor the status has what only the server
// may know, whatever that sends back.
func TestWatchKeepsSecrets(t *testing.T) {
	l := newWatchedLine(t)
	l.says(t, 10*second, "CE "+ceOfOffer, "changed in")
	l.TXT("v=v6mig-1 url=" + l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "https://%zz?"+r.URL.RawQuery)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}) + "/c t=b")
	l.due(t)
	l.section(t, "{wan: eth1, lan: eth0, provider: discover, discover: {user: hush-1, password: hush-2, server: vne.example.jp}}")
	l.says(t, 20*second, "<4>the line was asked for its rules", "which is not a URL")
	l.section(t, "{wan: eth1, discover: {user: hush-1, password: hush-2, server: vne.example.jp, port: 1}}")
	l.says(t, 5*second, "does not belong here")
	l.section(t, "{wan: eth1, discover: {user: hush-1, password: *hush-2}}")
	l.says(t, 5*second, "needs quotes")
	l.rest(t)
	if all := strings.Join(append(l.log, l.states...), "\n"); strings.Contains(all, "hush") {
		t.Error(all)
	}
	if asked := l.Asked(); asked[len(asked)-1].Query().Get("pass") != "hush-2" {
		t.Errorf("asked %v", asked)
	}
}

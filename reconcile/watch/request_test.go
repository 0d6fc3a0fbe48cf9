package watch

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/networkd"
)

// TestWatchRequestsLater: the prefix is requested once the reason has gone why it could not be at first, though the guard
// has been set meanwhile.
func TestWatchRequestsLater(t *testing.T) {
	const temporary = "$(dirname $root" + gatewaytest.AskingDropIn + ")/.50-mape.conf.mape-netplan"
	const ifupdown = `rm $root/etc/netplan/*; mv $root/run/systemd/netif/links $root/run/links
		wants=$root/etc/systemd/system/network-online.target.wants; mkdir -p $root/etc/network $wants; touch $wants/networking.service
		printf 'auto eth1\niface eth1 inet6 auto\n' >$root/etc/network/interfaces`
	for what, test := range map[string]struct{ section, do, says, undo string }{
		"a typo":                {"{wan-prefix: pd, backend: networkd, lna: []}", "", "lna", ""},
		"no section":            {"", "", "<3>", ""},
		"a file of others":      {gatewaytest.AskingSection, "mkdir $root/etc/netplan/70-others.yaml", "<3>cannot read /etc/netplan/70-others.yaml", "rmdir $root/etc/netplan/70-others.yaml"},
		"an unwritable drop-in": {gatewaytest.AskingSection, "mkdir -p " + temporary + "/x", "<3>cannot apply guard only", "rm -r " + temporary},
		"another manager":       {gatewaytest.AskingSection, ifupdown, "<3>ifupdown configures eth1", "mv $root/run/links $root/run/systemd/netif/links"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			g := newAsking(t)
			g.Exec(t, "env", "root="+g.Dir, "sh", "-ec", test.do)
			w := startService(t, g, test.section)
			w.says(t, test.says)
			w.await(t, "a state without a gateway", func() bool {
				return strings.Contains(w.status(), "guard only") || strings.Contains(w.status(), "no gateway")
			})
			w.looks(t)
			w.isAsked(t, false)
			w.Exec(t, "env", "root="+w.Dir, "sh", "-ec", test.undo)
			w.section(t, gatewaytest.AskingSection)
			w.says(t, "CE 2400:4050:5c71:af00:", "changed in")
			w.isAsked(t, true)
		})
	}
}

// TestWatchRequestsAgain where networkd could not be reloaded once.
func TestWatchRequestsAgain(t *testing.T) {
	t.Parallel()
	g := newAsking(t)
	g.H.Bus = &failsOnce{Bus: g.H.Bus}
	w := startService(t, g, gatewaytest.AskingSection)
	w.says(t, "<3>cannot apply guard only: ", "no answer from networkd")
	w.says(t, "CE 2400:4050:5c71:af00:", "changed in")
	w.isAsked(t, true)
}

// failsOnce fails to reload networkd the first time.
type failsOnce struct {
	host.Bus
	failed atomic.Bool
}

func (b *failsOnce) Reload(ctx context.Context) error {
	if !b.failed.Swap(true) {
		return errors.New("no answer from networkd")
	}
	return b.Bus.Reload(ctx)
}

// newAsking is a machine of gatewaytest.NewAsking with the bridge, which networkd configures as well.
func newAsking(t *testing.T) *gatewaytest.Machine {
	t.Helper()
	g, _ := gatewaytest.NewAsking(t, true)
	g.Exec(t, "sh", "-ec", "ip link add mape0 index 77 type bridge; ip link set mape0 up")
	hosttest.WriteFile(t, filepath.Join(g.Dir, "run/systemd/netif/links/77"), "NETWORK_FILE="+networkd.NetworkPath+"\n")
	return g
}

// isAsked checks whether the drop-in requests a prefix.
func (w *service) isAsked(t *testing.T, want bool) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.Dir, gatewaytest.AskingDropIn))
	if asks := strings.Contains(string(data), networkd.RequestText); asks != want {
		t.Errorf("the drop-in is %q, %v", data, err)
	}
}

// TestWithdrawnRequests: a line that has withdrawn its service is still asked for the prefix by which it can be asked
// whether it provides it again.
func TestWithdrawnRequests(t *testing.T) {
	f := gatewaytest.Lines()
	f.Links[1].NetworkFile = gatewaytest.AskingWAN
	f.Owned.Files = []string{gatewaytest.AskingDropIn}
	f.Owned.Requests = []facts.Request{{File: gatewaytest.AskingDropIn}}
	f.Owned.Addresses = []facts.OwnedAddress{{Link: "eth1", Prefix: netip.MustParsePrefix(gatewaytest.CeOfLine + "/128")}}
	w := Watch{Compile: gateway.Transition.Compile}
	w.sections.valid = gatewaytest.SectionOf(t, "{wan: eth1, "+gatewaytest.AskingSection[1:])
	to := w.withdrawn(gatewaytest.Seek(w.sections.valid, f), f)
	text, n := "", 0
	for _, r := range to.want {
		if strings.Contains(r.Name(), gatewaytest.AskingDropIn) {
			text, n = r.Text(), n+1
		}
	}
	if n != 1 || !strings.Contains(text, networkd.RequestText) || strings.Contains(text, gatewaytest.CeOfLine) {
		t.Errorf("%d times, the drop-in is\n%s", n, text)
	}
}

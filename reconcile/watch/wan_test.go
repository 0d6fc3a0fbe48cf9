package watch

import (
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/resource"
)

const (
	takeWAN  = "ip link set eth1 down; ip link set eth1 name spare0"
	giveWAN  = "ip link set spare0 name eth1; ip link set eth1 up; ip address add " + gatewaytest.LineAddress + " dev eth1"
	otherWAN = "ip link del spare0; ip link add eth1 type veth peer name peer0; ip link set peer0 up; ip link set eth1 up; ip address add " + gatewaytest.LineAddress + " dev eth1"
)

// TestWatchWANComesLate has a WAN that is not there when the service starts, goes away later and comes back, as itself and
// as another card: with the same name it is the WAN again.
func TestWatchWANComesLate(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	g.Exec(t, "sh", "-ec", takeWAN)
	w := startService(t, g, gatewaytest.Auto)
	w.says(t, "<3>", "mape.wan: there is no interface eth1; there are: ")
	w.says(t, "guard only: ", "changed in")
	for i, give := range []string{giveWAN, giveWAN, otherWAN} {
		if i > 0 {
			w.forget()
			w.Exec(t, "sh", "-ec", takeWAN)
			w.says(t, "<3>", "there is no interface eth1")
			w.looks(t)
			if out := w.Exec(t, "sh", "-ec", "nft list table ip mape; ip route; cat "+w.Dir+netplan.Path); !strings.Contains(out, "snat to 153.241.113.198") || !strings.Contains(out, "default dev mape0") || !strings.Contains(out, gatewaytest.CeOfLine) {
				t.Errorf("without a WAN the gateway does not stay as it is:\n%s", out)
			}
		}
		w.forget()
		w.Exec(t, "sh", "-ec", give)
		w.says(t, "the line is up")
		w.await(t, "the CE address is on eth1", func() bool {
			out, _ := w.Try("ip", "-6", "address", "show", "dev", "eth1")
			return strings.Contains(out, gatewaytest.CeOfLine+"/128")
		})
		// At first the kernel still looks for duplicates of the address.
		w.await(t, "a plan names nothing", func() bool {
			return len(w.Plan(t, slices.DeleteFunc(w.Machine.Compile(t, gatewaytest.Auto), func(r engine.Resource) bool { _, ok := r.(resource.Tunnel); return ok }))) == 0
		})
		w.looks(t) // The pass that made it looks once more before it ends.
	}
}

// TestWatchWANIsRenamed follows a WAN that the section does not name to its new name, and leaves nothing at the old one.
func TestWatchWANIsRenamed(t *testing.T) {
	t.Parallel()
	g := newMachine(t)
	const route = "; ip -6 route add default via fe80::1 dev "
	g.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.LineAddress+" dev eth1"+route+"eth1")
	w := startService(t, g, "{}")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.Exec(t, "sh", "-ec", "ip link set eth1 down; ip link set eth1 name wan0; ip link set wan0 up; ip address add "+gatewaytest.LineAddress+" dev wan0"+route+"wan0", w.Dir)
	w.await(t, "the CE address is on wan0 and in its file", func() bool {
		out, _ := w.Try("ip", "-6", "address", "show", "dev", "wan0")
		return strings.Contains(out, gatewaytest.CeOfLine+"/128")
	})
	w.looks(t)
	if out := w.Exec(t, "sh", "-c", "cat "+w.Dir+netplan.Path); strings.Contains(out, "eth1") {
		t.Errorf("the old name is left in\n%s", out)
	}
}

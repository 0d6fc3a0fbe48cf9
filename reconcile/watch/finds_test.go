package watch

import (
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/line"
)

// TestWatchFindsOnce: each pass finds the line once, whether it is there, renumbered or away. It is not parallel, because the count is
// the process's.
func TestWatchFindsOnce(t *testing.T) {
	before := line.Counted()
	w := newService(t, gatewaytest.Auto)
	w.Exec(t, "ip", "address", "add", gatewaytest.LineAddress, "dev", "eth1")
	w.says(t, "CE "+gatewaytest.CeOfLine, "changed in")
	w.Exec(t, "sh", "-ec", "ip address add "+gatewaytest.OtherAddress+" dev eth1; ip address del "+gatewaytest.LineAddress+" dev eth1")
	w.says(t, "CE "+gatewaytest.CeOfOther, "changed in")
	w.Exec(t, "ip", "address", "del", gatewaytest.OtherAddress, "dev", "eth1")
	w.says(t, "waiting: ", "the last line is held: CE "+gatewaytest.CeOfOther)
	w.stop()
	if found := line.Counted().Found - before.Found; found != int64(w.passes) || w.passes < 4 {
		t.Errorf("%d passes have found the line %d times:\n%s", w.passes, found, strings.Join(w.log, "\n"))
	}
}

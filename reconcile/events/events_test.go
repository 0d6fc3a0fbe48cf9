package events

import (
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
)

// TestListenElsewhere: the events are those of the host's namespace, not of the caller's.
func TestListenElsewhere(t *testing.T) {
	here, there := hosttest.NewNS(t), hosttest.NewNS(t)
	here.Do(func() {
		e, err := Listen(&host.Host{NS: there.FD()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		there.Exec(t, "ip", "link", "add", "d0", "type", "bridge")
		there.Exec(t, "nft", "add table ip "+nat.Name)
		for what, reported := range map[string]chan struct{}{"a link": e.Changed, "the table": e.Table} {
			select {
			case <-reported:
			case <-time.After(30 * time.Second):
				t.Errorf("%s is not reported", what)
			}
		}
	})
}

package events

import (
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
)

// TestListenElsewhere: the events are those of the host's namespace, whichever the caller is in.
func TestListenElsewhere(t *testing.T) {
	here, there := hosttest.NewNS(t), hosttest.NewNS(t)
	here.Do(func() {
		e, err := Listen((&host.Host{NS: there.FD()}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Close)
		there.Exec(t, "ip", "link", "add", "d0", "type", "bridge")
		there.Exec(t, "nft", "add table ip "+nat.Name)
		for what, heard := range map[string]chan struct{}{"a link": e.Wake, "the table": e.Hurry} {
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Errorf("%s is not heard", what)
			}
		}
	})
}

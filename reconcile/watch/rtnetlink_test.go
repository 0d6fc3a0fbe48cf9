package watch

import (
	"testing"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/resource"
)

// TestWatchHearsARivalAgain: the kernel says nothing of the routes that go with
// a link or an address, and one that comes back is news all the same.
func TestWatchHearsARivalAgain(t *testing.T) {
	w := newWatch(t, gatewaytest.LineSection)
	w.says(t, 10*second, "CE "+gatewaytest.CeOfLine)
	// Without IPv6: it hears late of whether an address of that is a duplicate.
	w.Exec(t, "sh", "-ec", "ip link add r0 type bridge; ip link set r0 addrgenmode none; ip link set r0 up; ip address add 172.31.0.1/24 dev r0")
	for _, d := range []struct{ what, gone, back string }{
		{"the link", "ip link set r0 down", "ip link set r0 up"},
		{"its address", "ip address del 172.31.0.1/24 dev r0", "ip address add 172.31.0.1/24 dev r0"},
	} {
		t.Run(d.what, func(t *testing.T) {
			for range 2 {
				w.calm(t)
				w.forget()
				w.Exec(t, "ip", "route", "prepend", "default", "via", "172.31.0.2")
				w.says(t, second, "<3>r0: "+resource.ErrRival.Error())
				w.Exec(t, "sh", "-ec", d.gone)
				w.says(t, 2*second, "the line is there")
				w.Exec(t, "sh", "-ec", d.back)
			}
		})
	}
}

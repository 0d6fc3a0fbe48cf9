package reconcile

import (
	"testing"
	"time"
)

// TestListenElsewhere: the events are those of the host's namespace, whichever the caller is in.
func TestListenElsewhere(t *testing.T) {
	here, there := newNS(t), newNS(t)
	here.do(func() {
		e, err := (&Host{NS: there.fd()}).listen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.close)
		there.run(t, "ip", "link", "add", "d0", "type", "bridge")
		there.run(t, "nft", "add table ip "+tableName)
		for what, heard := range map[string]chan struct{}{"a link": e.wake, "the table": e.hurry} {
			select {
			case <-heard:
			case <-time.After(10 * time.Second):
				t.Errorf("%s is not heard", what)
			}
		}
	})
}

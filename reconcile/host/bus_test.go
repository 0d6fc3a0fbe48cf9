package host_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// startBus runs a system bus of the test's own.
func startBus(t *testing.T, address string) (stop func()) {
	t.Helper()
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--address="+address, "--print-address")
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { daemon.Process.Kill(); daemon.Wait() }
	t.Cleanup(stop)
	if _, err := out.Read(make([]byte, 1)); err != nil { // It listens then.
		t.Fatal(err)
	}
	return stop
}

// TestNetworkd: that networkd starts and stops, and that the bus does, wakes the watch, which sees it.
func TestNetworkd(t *testing.T) {
	hosttest.NeedTool(t, "dbus-daemon")
	socket := filepath.Join(t.TempDir(), "bus")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+socket)
	root, err := os.OpenRoot("/")
	if err != nil {
		t.Fatal(err)
	}
	h, woken := &host.Host{Root: root, Net: new(netlink.Handle)}, make(chan bool, 64)
	becomes := func(what string, runs bool) {
		t.Helper()
		for end := time.After(time.Minute); ; {
			if h.Reconnect(); (h.Bus != nil) == runs {
				return
			}
			select {
			case <-woken:
			case <-end:
				t.Fatalf("%s: networkd runs: %v", what, !runs)
			}
		}
	}
	becomes("without a bus", false)
	stop := startBus(t, "unix:path="+socket)
	becomes("with a bus", false)
	h.WatchNetworkd(func() { woken <- true })
	networkd := func() *dbus.Conn {
		conn, err := dbus.Connect("unix:path=" + socket)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := conn.RequestName("org.freedesktop.network1", 0); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := networkd()
	becomes("started", true)
	conn.Close()
	becomes("stopped", false)
	networkd()
	becomes("started again", true)
	stop()
	becomes("without its bus", false)
	startBus(t, "unix:path="+socket)
	networkd()
	becomes("with another bus", true)
	becomes("still", true)
}

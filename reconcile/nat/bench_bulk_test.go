package nat_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nft"
)

// A bulk is a TCP connection from the LAN through a gateway and its tunnel to a server, whose namespace is the border
// relay as well: nothing but the kernel carries a packet.
//
//	lan eth0 ── eth0 gw mape0 ═ line0 ── line0 ═ net0 inet
//
// Its two ends wait in the kernel: Go's own waiting for sockets costs another number of instructions each time.
type bulk struct {
	client, server *os.File
	gw             *hosttest.NS
}

// newBulk connects through a gateway with the table. Without offload every packet passes the gateway by itself and has
// at most mss bytes; otherwise the kernel hands them on in pieces of 64 kB.
func newBulk(t testing.TB, table nft.Table, mss int, offload bool) bulk {
	t.Helper()
	lan, gw, inet := hosttest.NewNS(t), hosttest.NewNS(t), hosttest.NewNS(t)
	for _, n := range []*hosttest.NS{lan, gw, inet} {
		hosttest.Sysctl(t, n, map[string]string{
			"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0", "ipv4/ip_forward": "1",
			"ipv6/conf/default/accept_dad": "0", "ipv6/conf/default/router_solicitations": "0",
		})
	}
	hosttest.Veth(t, lan, "eth0", rigHost+"/24", gw, "eth0", "192.168.1.1/24")
	joinTunnel(t, gw, inet)
	for _, end := range []struct {
		n    *hosttest.NS
		name string
	}{{lan, "eth0"}, {gw, "eth0"}, {gw, "line0"}, {gw, "mape0"}, {inet, "line0"}} {
		end.n.Do(func() { setOffload(t, end.name, offload) })
	}
	lan.Exec(t, "ip", "route", "add", "default", "via", "192.168.1.1", "advmss", fmt.Sprint(mss))
	gw.Exec(t, "ip", "route", "add", "default", "dev", "mape0", "scope", "link")
	inet.Exec(t, "ip", "route", "add", "192.0.2.0/24", "dev", "net0", "advmss", fmt.Sprint(mss))
	if err := table.Write(nft.OpenNS(gw.FD())); err != nil {
		t.Fatal(err)
	}
	b := connect(t, lan, inet)
	b.gw = gw
	return b
}

// joinTunnel makes both ends of the tunnel, the server's with its address.
func joinTunnel(t testing.TB, gw, inet *hosttest.NS) {
	t.Helper()
	const ce, br = "2001:db8::1", "2001:db8::2"
	hosttest.Veth(t, gw, "line0", ce+"/64", inet, "line0", br+"/64")
	tunnel := func(n *hosttest.NS, name, local, remote string) {
		n.Exec(t, "ip", "link", "add", name, "type", "ip6tnl", "mode", "ipip6", "local", local, "remote", remote, "encaplimit", "none")
		n.Exec(t, "ip", "link", "set", name, "up")
	}
	tunnel(gw, "mape0", ce, br)
	tunnel(inet, "net0", br, ce)
	inet.Exec(t, "ip", "addr", "add", rigServer+"/32", "dev", "net0")
}

func connect(t testing.TB, lan, inet *hosttest.NS) (b bulk) {
	t.Helper()
	inet.Do(func() {
		listener, err := net.Listen("tcp4", rigServer+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		c, err := gatewaytest.Dial(lan, rigServer+":80", 3*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		b.client = blocking(t, c)
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		from := netip.MustParseAddrPort(accepted.RemoteAddr().String())
		if from.Addr() != netip.MustParseAddr("192.0.2.18") {
			t.Fatalf("the server sees %v", from)
		}
		b.server = blocking(t, accepted)
	})
	return b
}

// blocking takes a connection's socket away from Go's poller.
func blocking(t testing.TB, c net.Conn) *os.File {
	t.Helper()
	defer c.Close()
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	f.Fd() // makes it blocking
	return f
}

// transfer sends n bytes from one end to the other, both on one core, and returns how long that took.
func (b bulk) transfer(t testing.TB, down bool, n int64) time.Duration {
	t.Helper()
	from, to := b.client, b.server
	if down {
		from, to = to, from
	}
	done := make(chan error)
	defer pin(t)()
	start := time.Now()
	go func() {
		defer pin(t)()
		_, err := io.CopyBuffer(struct{ io.Writer }{from}, io.LimitReader(zero{}, n), make([]byte, 1<<16))
		done <- err
	}()
	buf := make([]byte, 1<<17)
	for got := int64(0); got < n; {
		r, err := to.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += int64(r)
	}
	took := time.Since(start)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return took
}

type zero struct{}

func (zero) Read(p []byte) (int, error) { return len(p), nil }

// pin keeps the goroutine on the last core, before all others, until what it returns is called.
func pin(t testing.TB) (unpin func()) {
	runtime.LockOSThread()
	var old, set unix.CPUSet
	unix.SchedGetaffinity(0, &old)
	set.Set(lastCPU(old))
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Error(err)
	}
	unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	return func() {
		unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
		unix.SchedSetaffinity(0, &old)
		runtime.UnlockOSThread()
	}
}

func lastCPU(allowed unix.CPUSet) int {
	last := 0
	for cpu := range 1024 {
		if allowed.IsSet(cpu) {
			last = cpu
		}
	}
	return last
}

// setOffload turns segmentation and its reverse on or off, as ethtool -K does.
func setOffload(t testing.TB, name string, on bool) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const stso, sgso, sgro, stxcsum = 0x1f, 0x24, 0x2c, 0x17
	commands := []uint32{stxcsum, stso, sgso, sgro}
	if name == "mape0" {
		commands = []uint32{sgro} // all that a tunnel has of its own
	}
	for _, command := range commands {
		value := struct{ command, data uint32 }{command, 0}
		if on {
			value.data = 1
		}
		request := struct {
			name  [16]byte
			value unsafe.Pointer
			_     [16]byte
		}{value: unsafe.Pointer(&value)}
		copy(request.name[:15], name)
		if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); e != 0 {
			t.Fatalf("ethtool %#x on %s: %v", command, name, e)
		}
	}
}

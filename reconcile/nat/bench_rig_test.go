package nat_test

import (
	"encoding/binary"
	"net"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
)

// A rig is a gateway whose tunnel is a TUN device and whose LAN is a veth. What the benchmark sends into one end the
// gateway forwards to the other on the same core, before the system call returns, and there it is thrown away at once:
// the device's queue is full, or the frame is addressed to another station.
//
//	lan eth0 ── eth0 gw mape0
type rig struct {
	lan, gw *hosttest.NS
	conn    *nft.Conn
	inner   net.HardwareAddr // of the gateway
	tunnel  *os.File
	fd      int // of the tunnel
}

const (
	rigHost   = "192.168.1.10"
	rigServer = "198.51.100.1"
)

// absentHost is a station that is not there.
var absentHost = net.HardwareAddr{2, 0, 0, 0, 0, 9}

func newRig(t testing.TB, table nft.Table) *rig {
	t.Helper()
	r := &rig{lan: hosttest.NewNS(t), gw: hosttest.NewNS(t)}
	r.conn = nft.OpenNS(r.gw.FD())
	for _, n := range []*hosttest.NS{r.lan, r.gw} {
		hosttest.Sysctl(t, n, map[string]string{
			"ipv6/conf/all/disable_ipv6": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0",
			"ipv4/ip_forward": "1",
		})
	}
	hosttest.Veth(t, r.lan, "eth0", rigHost+"/24", r.gw, "eth0", "192.168.1.1/24")
	r.tunnel = hosttest.Tun(t, r.gw, "mape0")
	r.fd = int(r.tunnel.Fd())
	if err := unix.SetNonblock(r.fd, true); err != nil { // Fd made it blocking
		t.Fatal(err)
	}
	t.Cleanup(func() { r.tunnel.Close() })
	r.gw.Exec(t, "ip", "link", "set", "mape0", "txqueuelen", "8")
	r.gw.Exec(t, "tc", "qdisc", "replace", "dev", "mape0", "root", "noqueue")
	r.gw.Exec(t, "ip", "route", "add", "default", "dev", "mape0", "scope", "link")
	r.gw.Exec(t, "ip", "neigh", "add", rigHost, "lladdr", absentHost.String(), "dev", "eth0", "nud", "permanent")
	r.gw.Do(func() { r.inner = mac(t, "eth0") })
	r.load(t, table)
	return r
}

func mac(t testing.TB, name string) net.HardwareAddr {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.HardwareAddr
}

// A blast is packets of one flow in one direction, ready to be sent in one system call.
type blast struct {
	fd       int
	messages []message
	keep     []unix.Iovec
}

// message is the kernel's struct mmsghdr.
type message struct {
	header unix.Msghdr
	sent   uint32
	_      uint32
}

// packetSocket sends through an interface of the namespace without a queue, and receives where it is told to.
func packetSocket(t testing.TB, n *hosttest.NS, name string, protocol uint16) int {
	t.Helper()
	fd := -1
	n.Do(func() {
		i, err := net.InterfaceByName(name)
		if err == nil {
			fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		}
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: i.Index})
		}
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)
		}
		if err != nil {
			t.Fatalf("packet socket on %s: %v", name, err)
		}
	})
	return fd
}

func newBlast(fd int, frames [][]byte) *blast {
	b := &blast{fd: fd, messages: make([]message, len(frames)), keep: make([]unix.Iovec, len(frames))}
	for i, f := range frames {
		b.keep[i] = unix.Iovec{Base: &f[0], Len: uint64(len(f))}
		b.messages[i].header.Iov, b.messages[i].header.Iovlen = &b.keep[i], 1
	}
	return b
}

func (b *blast) send(t testing.TB, n int) time.Duration {
	t.Helper()
	sent := 0
	start := time.Now()
	for sent < n {
		r, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.messages[0])),
			uintptr(len(b.messages)), 0, 0, 0)
		if e != 0 {
			t.Fatalf("sendmmsg: %v", e)
		}
		sent += int(r)
	}
	took := time.Since(start)
	runtime.KeepAlive(b)
	return took / time.Duration(sent)
}

// receive returns the next IP packet that goes to the address.
func receive(t testing.TB, fd int, to string) []byte {
	t.Helper()
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	b := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			t.Fatalf("no packet to %s arrived: %v", to, err)
		}
		if p := b[14:n]; n > 34 && net.IP(p[16:20]).String() == to {
			return p
		}
	}
}

func frame(to net.HardwareAddr, packet []byte) []byte {
	return append(append(append([]byte{}, to...), 2, 0, 0, 0, 0, 1, 8, 0), packet...)
}

// A sender sends n packets or a few more and returns how long one took.
type sender interface {
	send(t testing.TB, n int) time.Duration
}

// A rigFlow is a connection through the gateway of a rig that both sides have used. What comes in has its real port, or
// pooled, the pool's number for it.
type rigFlow struct{ out, in, pooled sender }

const batch = 64

// segment is a TCP segment with size bytes of data.
func segment(src string, sport uint16, dst string, dport uint16, seq, ack uint32, flags byte, size int) []byte {
	b := binary.BigEndian.AppendUint16(nil, sport)
	b = binary.BigEndian.AppendUint16(b, dport)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = append(b, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0)
	return hosttest.Ipv4(src, dst, 6, append(b, make([]byte, size)...))
}

// A stream is packets that come out of the tunnel.
type stream struct {
	fd      int
	packets [][]byte
}

func (w stream) send(t testing.TB, n int) time.Duration {
	start := time.Now()
	for i := range n {
		p := w.packets[i%len(w.packets)]
		if _, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(w.fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))); e != 0 {
			t.Fatal(e)
		}
	}
	return time.Since(start) / time.Duration(n)
}

// left returns the next packet that went into the tunnel.
func (r *rig) left(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 65536)
	for range 2000 {
		if n, err := unix.Read(r.fd, b); err == nil {
			return b[:n]
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("no packet left through the tunnel")
	return nil
}

// flush forgets what left.
func (r *rig) flush() {
	for b := make([]byte, 65536); ; {
		if _, err := unix.Read(r.fd, b); err != nil {
			return
		}
	}
}

// load changes the gateway's table, and waits until the kernel has thrown away the old one.
func (r *rig) load(t testing.TB, table nft.Table) {
	t.Helper()
	if err := table.Write(r.conn); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Millisecond)
}

// tcpFlow shakes hands through the gateway and makes data segments of both directions.
func (r *rig) tcpFlow(t testing.TB, size int) rigFlow {
	t.Helper()
	lan := packetSocket(t, r.lan, "eth0", 0)
	t.Cleanup(func() { unix.Close(lan) })
	back := packetSocket(t, r.lan, "eth0", unix.ETH_P_IP)
	defer unix.Close(back)
	const client, service = 40000, 80
	newBlast(lan, [][]byte{frame(r.inner, segment(rigHost, client, rigServer, service, 1000, 0, 2, 0))}).send(t, 1)
	syn := r.left(t)
	src, port := net.IP(syn[12:16]).String(), binary.BigEndian.Uint16(syn[20:])
	unix.Write(r.fd, segment(rigServer, service, src, port, 5000, 1001, 0x12, 0))
	receive(t, back, rigHost)
	newBlast(lan, [][]byte{frame(r.inner, segment(rigHost, client, rigServer, service, 1001, 5001, 0x10, 0))}).send(t, 1)
	r.left(t)
	var out, in, pooled [][]byte
	for i := range batch {
		seq := uint32(i * size)
		out = append(out, frame(r.inner, segment(rigHost, client, rigServer, service, 1001+seq, 5001, 0x10, size)))
		in = append(in, segment(rigServer, service, src, port, 5001+seq, 1001, 0x10, size))
		pooled = append(pooled, segment(rigServer, service, src, poolOf(port), 5001+seq, 1001, 0x10, size))
	}
	fd := r.fd
	f := rigFlow{newBlast(lan, out), stream{fd, in}, stream{fd, pooled}}
	// What is measured must not be the dropping of packets.
	f.out.send(t, 1)
	r.left(t)
	f.in.send(t, 1)
	receive(t, back, rigHost)
	return f
}

// udpFlow is a UDP flow that both sides have used.
func (r *rig) udpFlow(t testing.TB, size int) rigFlow {
	t.Helper()
	lan := packetSocket(t, r.lan, "eth0", 0)
	t.Cleanup(func() { unix.Close(lan) })
	back := packetSocket(t, r.lan, "eth0", unix.ETH_P_IP)
	defer unix.Close(back)
	payload := string(make([]byte, size))
	frames := func(f []byte) (list [][]byte) {
		for range batch {
			list = append(list, f)
		}
		return list
	}
	r.flush()
	out := newBlast(lan, frames(frame(r.inner, hosttest.UdpTo(rigHost, 40000, rigServer, 3478, payload))))
	out.send(t, 1)
	p := r.left(t)
	src, port, fd := net.IP(p[12:16]).String(), binary.BigEndian.Uint16(p[20:]), r.fd
	in := stream{fd, frames(hosttest.UdpTo(rigServer, 3478, src, port, payload))}
	in.send(t, 1)
	receive(t, back, rigHost)
	return rigFlow{out, in, stream{fd, frames(hosttest.UdpTo(rigServer, 3478, src, poolOf(port), payload))}}
}

// poolOf is the pool's number for a real port.
func poolOf(port uint16) uint16 {
	return nat.Inverse(nat.NewPool(gatewaytest.NatKinds["ocn"].Ports.Ranges(), nil).Real())[port]
}

package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/softwire"
)

const server = "198.51.100.1"

// serveUDP answers every datagram with the address that it came from, on port 3478 of every address of the internet.
func (l *line) serveUDP(t testing.TB) {
	t.Helper()
	l.inet.do(func() {
		for i := 1; i < 10; i++ {
			c, err := net.ListenPacket("udp4", fmt.Sprintf("198.51.100.%d:3478", i))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				b := make([]byte, 65536)
				for {
					n, from, err := c.ReadFrom(b)
					if err != nil {
						return
					}
					answer := make([]byte, max(n, len(from.String())))
					copy(answer, from.String())
					c.WriteTo(answer, from)
				}
			}()
		}
	})
}

// serveTCP accepts connections on port 80, and sends back what comes.
func (l *line) serveTCP(t testing.TB) {
	t.Helper()
	l.inet.do(func() {
		listener, err := net.Listen("tcp4", "0.0.0.0:80")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { c.Close() })
				go func() {
					defer c.Close()
					io.Copy(c, c)
				}()
			}
		}()
	})
}

// sockets opens n UDP sockets in a namespace.
func sockets(t testing.TB, in *ns, n int) []*net.UDPConn {
	t.Helper()
	var list []*net.UDPConn
	in.do(func() {
		for range n {
			c, err := net.ListenUDP("udp4", nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			list = append(list, c)
		}
	})
	return list
}

// ask sends a datagram to the server of that number and returns the address that the server saw.
func ask(c *net.UDPConn, number, size int) (netip.AddrPort, error) {
	to := netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:3478", number))
	b := make([]byte, 65536)
	for range 3 {
		if _, err := c.WriteToUDPAddrPort(make([]byte, size), to); err != nil {
			return netip.AddrPort{}, err
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			continue
		}
		if err != nil {
			return netip.AddrPort{}, err
		}
		if from != to {
			return netip.AddrPort{}, fmt.Errorf("answer from %v", from)
		}
		end := 0
		for end < n && b[end] != 0 {
			end++
		}
		return netip.ParseAddrPort(string(b[:end]))
	}
	return netip.AddrPort{}, fmt.Errorf("no answer from %v", to)
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// dial opens a TCP connection from a namespace; whether the first SYN was refused shows in the time.
func dial(in *ns, to string, wait time.Duration) (c net.Conn, err error) {
	in.do(func() { c, err = (&net.Dialer{Timeout: wait}).Dial("tcp4", to) })
	return c, err
}

// TestFlows: TCP, UDP and ping work from the LAN and from the gateway, over the whole of every kind of set, and
// everything that leaves carries a port of the set.
func TestFlows(t *testing.T) {
	for name, sw := range natKinds {
		if name == "system-ports" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			l := newLine(t, sw)
			l.serveUDP(t)
			l.serveTCP(t)
			for _, from := range []*ns{l.lan, l.gw} {
				flowsUDP(t, from, min(sw.PortCount()/3, 300), sw)
				flowTCP(t, from)
				for range 3 {
					from.run(t, "ping", "-c2", "-i0.01", "-W2", server)
				}
				from.run(t, "ping", "-c1", "-W2", "-s", "3000", server)
			}
		})
	}
}

func flowsUDP(t *testing.T, from *ns, n int, sw softwire.Softwire) {
	t.Helper()
	var wait sync.WaitGroup
	limit := make(chan bool, 50)
	for i, c := range sockets(t, from, n) {
		wait.Go(func() {
			limit <- true
			defer func() { <-limit }()
			for _, size := range []int{30, 1, 1400, 4000} { // the last goes in fragments, both ways
				saw, err := ask(c, 1+i%9, size)
				if err != nil || !sw.IPv4.Contains(saw.Addr()) || !sw.HasPort(saw.Port()) {
					t.Errorf("UDP, %d bytes: %v, %v", size, saw, err)
				}
			}
		})
	}
	wait.Wait()
}

func flowTCP(t *testing.T, from *ns) {
	t.Helper()
	c, err := dial(from, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go c.Write(make([]byte, 1<<20))
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Errorf("TCP: %d bytes, %v", n, err)
	}
}

// TestMapping: one socket has one external port, whatever it talks to (RFC 4787 REQ-1).
func TestMapping(t *testing.T) {
	l := newLine(t, natKinds["ocn"])
	l.serveUDP(t)
	for _, c := range sockets(t, l.lan, 100) {
		ports := map[netip.AddrPort]bool{}
		for number := 1; number <= 6; number++ {
			saw, err := ask(c, number, 10)
			if err != nil {
				t.Fatal(err)
			}
			ports[saw] = true
		}
		if len(ports) != 1 {
			t.Errorf("one socket, six destinations: %v", ports)
		}
	}
}

// TestSystemPortsOnly: a set that has only ports below 1024 gives NAT nothing to draw, and nothing leaves.
func TestSystemPortsOnly(t *testing.T) {
	l := newLine(t, natKinds["system-ports"])
	c := sockets(t, l.lan, 1)[0]
	c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":3478"))
	if n := l.quiet(); n != 0 {
		t.Errorf("%d packets left", n)
	}
}

func isRefused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }

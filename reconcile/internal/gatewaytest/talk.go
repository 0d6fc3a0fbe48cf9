package gatewaytest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/hosttest"
)

const (
	// Limit is how long a test waits for what has to happen. It usually happens at once; a busy machine may take seconds.
	Limit = time.Minute
	// Silence is how long a test waits for what must not happen.
	Silence = 400 * time.Millisecond
)

// Say answers on a TCP port and a UDP port of a namespace with its name and the client's address.
func Say(t *testing.T, n *hosttest.NS, name string, port uint16) {
	t.Helper()
	n.Do(func() {
		listener, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close(); packets.Close() })
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				fmt.Fprintf(c, "%s:%d %v\n", name, port, c.RemoteAddr())
				c.Close()
			}
		}()
		go func() {
			b := make([]byte, 100)
			for {
				_, from, err := packets.ReadFrom(b)
				if err != nil {
					return
				}
				packets.WriteTo(fmt.Appendf(nil, "%s:%d %v\n", name, port, from), from)
			}
		}()
	})
}

// Hear connects and returns what is answered: "" when there is no answer for so long.
func Hear(t *testing.T, from *hosttest.NS, protocol, to string, wait time.Duration) (answer string) {
	t.Helper()
	from.Do(func() {
		c, err := (&net.Dialer{Timeout: wait}).Dial(protocol+"4", to)
		if err == nil {
			defer c.Close()
			c.SetDeadline(time.Now().Add(wait))
			if protocol == "udp" {
				c.Write([]byte("x"))
			}
			answer, err = bufio.NewReader(c).ReadString('\n')
		}
		if err != nil && !IsTimeout(err) && !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s %s: %v", protocol, to, err)
		}
	})
	return strings.TrimSpace(answer)
}

const Server = "198.51.100.1"

// ServeUDP answers every datagram with the address that it came from, on port 3478 of every address of the internet.
func (l *Rig) ServeUDP(t testing.TB) {
	t.Helper()
	l.Inet.Do(func() {
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

// ServeTCP accepts connections on port 80, and sends back what comes.
func (l *Rig) ServeTCP(t testing.TB) {
	t.Helper()
	l.Inet.Do(func() {
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

// Sockets opens n UDP sockets in a namespace.
func Sockets(t testing.TB, in *hosttest.NS, n int) []*net.UDPConn {
	t.Helper()
	var list []*net.UDPConn
	in.Do(func() {
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

// Ask sends a datagram to the server of that number and returns the address that the server saw.
func Ask(c *net.UDPConn, number, size int) (netip.AddrPort, error) {
	to := netip.MustParseAddrPort(fmt.Sprintf("198.51.100.%d:3478", number))
	b := make([]byte, 65536)
	for end := time.Now().Add(Limit); time.Now().Before(end); {
		if _, err := c.WriteToUDPAddrPort(make([]byte, size), to); err != nil {
			return netip.AddrPort{}, err
		}
		c.SetReadDeadline(time.Now().Add(2 * time.Second))
		n, from, err := c.ReadFromUDPAddrPort(b)
		if errors.Is(err, context.DeadlineExceeded) || IsTimeout(err) {
			continue
		}
		if err != nil {
			return netip.AddrPort{}, err
		}
		if from != to {
			continue // The server asked before has answered twice: on a busy machine it was asked twice.
		}
		end := 0
		for end < n && b[end] != 0 {
			end++
		}
		return netip.ParseAddrPort(string(b[:end]))
	}
	return netip.AddrPort{}, fmt.Errorf("no answer from %v", to)
}

func IsTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

// Dial opens a TCP connection from a namespace.
func Dial(in *hosttest.NS, to string, wait time.Duration) (c net.Conn, err error) {
	in.Do(func() { c, err = (&net.Dialer{Timeout: wait}).Dial("tcp4", to) })
	return c, err
}

func FlowTCP(t *testing.T, from *hosttest.NS) {
	t.Helper()
	c, err := Dial(from, Server+":80", Limit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go c.Write(make([]byte, 1<<20))
	c.SetDeadline(time.Now().Add(Limit))
	if n, err := io.CopyN(io.Discard, c, 1<<20); err != nil {
		t.Errorf("TCP: %d bytes, %v", n, err)
	}
}

func IsRefused(err error) bool { return errors.Is(err, unix.ECONNREFUSED) }

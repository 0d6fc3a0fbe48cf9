// Package s46test stands for the DHCPv6 server of a line.
package s46test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/socket"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/hosttest"
)

// LinkLocal waits for the link-local address of a link. It may not be used before the kernel has looked for others that
// have it, however short that is.
func LinkLocal(t *testing.T, ns *hosttest.NS, name string) (index int, source netip.Addr) {
	ns.Do(func() {
		link, err := netlink.LinkByName(name)
		for err == nil && !source.IsValid() {
			var all []netlink.Addr
			all, err = netlink.AddrList(link, netlink.FAMILY_V6)
			for _, a := range all {
				if ip, _ := netip.AddrFromSlice(a.IP); ip.IsLinkLocalUnicast() && a.Flags&unix.IFA_F_TENTATIVE == 0 {
					source = ip
				}
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil {
			t.Fatal(err)
		}
		index = link.Attrs().Index
	})
	return index, source
}

// A Reply is what a server sends, from port 547 or, with Elsewhere, from another one.
type Reply struct {
	Elsewhere bool
	Data      []byte
}

// UDP opens a socket of a namespace. The addresses of package net will not do: it takes the names of links from whichever
// namespace it looked at last.
func UDP(t *testing.T, ns *hosttest.NS, at unix.SockaddrInet6) *socket.Conn {
	t.Helper()
	conn, err := socket.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0, "udp", &socket.Config{NetNS: ns.FD()})
	if err == nil {
		err = conn.Bind(&at)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Servers is the group of all servers and relays.
var Servers = netip.MustParseAddr("ff02::1:2").As16()

// Serve answers the n-th request that arrives at a link, counted from 1, until the test ends. The kernel drops those whose
// checksum is wrong.
func Serve(t *testing.T, ns *hosttest.NS, link string, answer func(request []byte, fromPort, n int) []Reply) {
	t.Helper()
	index, _ := LinkLocal(t, ns, link) // Without the address the kernel sends no reply.
	conn, other := UDP(t, ns, unix.SockaddrInet6{Port: 547}), UDP(t, ns, unix.SockaddrInet6{})
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: Servers, Interface: uint32(index)})
	})
	if err = errors.Join(e, err); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n, b := 1, make([]byte, 1500); ; n++ {
			size, from, err := conn.Recvfrom(context.Background(), b, 0)
			if err != nil {
				return
			}
			for _, reply := range answer(slices.Clone(b[:size]), from.(*unix.SockaddrInet6).Port, n) {
				out := conn
				if reply.Elsewhere {
					out = other
				}
				if err := out.Sendto(context.Background(), reply.Data, 0, from); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
}

// Option is an option in hexadecimal, as its data is.
func Option(code uint16, data string) string {
	return fmt.Sprintf("%04x%04x%s", code, len(data)/2, data)
}

// Server is the identifier of a server, an option in hexadecimal.
const Server = "0002000a000300010200000000ff"

// Message is a message with the transaction of a request, and some options in hexadecimal.
func Message(kind byte, request []byte, options ...string) []byte {
	b, err := hex.DecodeString(strings.Join(options, ""))
	if err != nil {
		panic(err)
	}
	return append([]byte{kind, request[1], request[2], request[3]}, b...)
}

// Answer is a good reply to a request, with its client identifier.
func Answer(request []byte, options ...string) []byte {
	id := "" // the first option of a request
	if n := 8 + int(binary.BigEndian.Uint16(request[6:])); n <= len(request) {
		id = hex.EncodeToString(request[4:n])
	}
	return Message(7, request, append([]string{id, Server}, options...)...)
}

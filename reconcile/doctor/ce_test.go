package doctor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// A hgw is a home gateway that says something and remembers what it was asked last.
type hgw struct{ says, asked atomic.Pointer[string] }

func newHGW(t *testing.T, n ns) *hgw {
	t.Helper()
	var l net.Listener
	var err error
	n.Do(func() { l, err = net.Listen("tcp4", "192.168.24.1:8888") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hgw{}
	h.say("")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			asked, says := string(b[:n]), *h.says.Load()
			h.asked.Store(&asked)
			fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(says), says)
			c.Close()
		}
	}()
	return h
}

// say also forgets what was asked.
func (h *hgw) say(s string) {
	none := ""
	h.asked.Store(&none)
	h.says.Store(&s)
}

// TestHomeGateway: a home gateway that serves the line's IPv4 itself is asked on the line, and only there.
func TestHomeGateway(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.line.run(t, "ip addr add 192.168.24.1/24 dev line0")
	m.gw.run(t, "ip addr add 192.168.24.9/24 dev eth1")
	home := newHGW(t, m.line)
	var names []string
	m.o.Resolve = func(_ context.Context, _ *host.Host, wan kernel.Link, name string) ([]netip.Addr, error) {
		names = append(names, wan.Name+" "+name)
		return []netip.Addr{netip.MustParseAddr("192.168.24.1")}, nil
	}
	home.say(`mape({"name":"hgw","version":"1.0","status":"ON"})`)
	m.is(t, doctor.Bad, "home gateway", "home gateway (ntt.setup at 192.168.24.1) does IPv4 over IPv6")
	asked := *home.asked.Load()
	if !slices.Equal(names, []string{"eth1 ntt.setup"}) || !strings.HasPrefix(asked, "GET /enabler.ipv4/check?callback=") || !strings.Contains(asked, "Host: ntt.setup:8888") {
		t.Errorf("asked %q, %q", names, asked)
	}
	for _, says := range []string{`mape({"name":"hgw","version":"1.0","status":"OFF"})`, "<html>", "mape({", strings.Repeat("{", 1<<17)} {
		home.say(says)
		m.well(t)
		if *home.asked.Load() == "" {
			t.Error("it was not asked")
		}
	}
	// An address that leads elsewhere gets nothing.
	m.lan.run(t, "ip addr add 192.168.24.1/32 dev lan0")
	elsewhere := newHGW(t, m.lan)
	m.gw.run(t, "ip addr del 192.168.24.9/24 dev eth1; ip route add 192.168.24.1 via 192.168.1.10; ping -c 1 -W 2 192.168.24.1")
	home.say("")
	m.well(t)
	if *home.asked.Load() != "" || *elsewhere.asked.Load() != "" {
		t.Error("another host was asked")
	}
}

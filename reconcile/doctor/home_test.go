package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile"
)

// TestHomeGateway: a home gateway that serves the line's IPv4 itself is asked on the line, and only there.
func TestHomeGateway(t *testing.T) {
	m := newMachine(t)
	m.line.run(t, "ip addr add 192.168.24.1/24 dev line0")
	m.gw.run(t, "ip addr add 192.168.24.9/24 dev eth1")
	answer, asked := `mape({"name":"hgw","version":"1.0","status":"ON"})`, ""
	var l net.Listener
	var err error
	m.line.do(func() { l, err = net.Listen("tcp4", "192.168.24.1:8888") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			asked = string(b[:n])
			fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
			c.Close()
		}
	}()
	resolves := func(to string, names *[]string) {
		m.o.Resolve = func(_ context.Context, _ *reconcile.Host, wan reconcile.Link, name string) ([]netip.Addr, error) {
			*names = append(*names, wan.Name+" "+name)
			return []netip.Addr{netip.MustParseAddr(to)}, nil
		}
	}
	var names []string
	resolves("192.168.24.1", &names)
	m.is(t, Bad, "home gateway", "home gateway (ntt.setup at 192.168.24.1) does IPv4 over IPv6")
	if !slices.Equal(names, []string{"eth1 ntt.setup"}) || !strings.HasPrefix(asked, "GET /enabler.ipv4/check?callback=") || !strings.Contains(asked, "Host: ntt.setup:8888") {
		t.Errorf("asked %q, %q", names, asked)
	}
	answer = `mape({"name":"hgw","version":"1.0","status":"OFF"})`
	m.well(t)
	for _, answer = range []string{"<html>", "mape({", strings.Repeat("{", 1<<17)} {
		m.well(t)
	}
	// An address that leads elsewhere gets nothing.
	asked = ""
	m.lan.run(t, "ip addr add 192.168.24.1/32 dev lan0")
	m.gw.run(t, "ip addr del 192.168.24.9/24 dev eth1; ip route add 192.168.24.1 via 192.168.1.10")
	resolves("192.168.24.1", &names)
	if r := m.visit(t); r.Symptoms.Home.Address.IsValid() || asked != "" {
		t.Errorf("asked %q, %+v", asked, r.Symptoms.Home)
	}
}

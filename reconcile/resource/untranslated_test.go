package resource_test

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
)

func untranslatedRig(t *testing.T, inbound string) *gatewaytest.Rig {
	l := gatewaytest.BareRig(t, gatewaytest.Untranslated)
	l.Inbound = inbound
	l.Inet.Exec(t, "ip", "route", "add", "192.168.1.0/24", "dev", "net0", "src", "198.51.100.1")
	if err := l.Table().Write(l.Conn); err != nil {
		t.Fatal(err)
	}
	gatewaytest.WriteFilter(t, l.Gw, gatewaytest.EgressOf(l.Sw))
	if live, err := nat.Read(l.Conn); err != nil || live.Text() != l.Table().Text() {
		t.Fatalf("the table is\n%s, %v, want\n%s", live.Text(), err, l.Table().Text())
	}
	l.ServeUDP(t)
	return l
}

// TestUntranslated: where nothing is translated the LAN's packets leave as they are and their answers arrive; nothing else
// leaves, and nothing that was not asked for comes in.
func TestUntranslated(t *testing.T) {
	t.Parallel()
	l := untranslatedRig(t, "drop")
	for _, c := range gatewaytest.Sockets(t, l.Lan, 3) {
		if saw, err := gatewaytest.Ask(c, 1, 10); err != nil || saw.Addr() != netip.MustParseAddr("192.168.1.10") {
			t.Errorf("the server saw %v, %v", saw, err)
		}
	}
	before := l.Quiet()
	l.Lan.Exec(t, "ip", "addr", "add", "10.9.9.9/32", "dev", "lo")
	l.Lan.Do(func() {
		for from, to := range map[string][]string{
			"10.9.9.9":     {"198.51.100.2"},
			"192.168.1.10": {"10.1.1.1", "172.16.1.1", "192.168.77.1", "100.64.0.1", "192.0.0.1", "192.0.0.3", "169.254.1.1"},
		} {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)})
			if err != nil {
				t.Error(err)
				continue
			}
			for _, address := range to {
				c.WriteToUDPAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(address), 3478))
			}
			c.Close()
		}
	})
	// Out of the tunnel: for the LAN, back into the tunnel, with a source of the LAN's, and of an address that no host has.
	for _, p := range [][]byte{
		hosttest.UdpTo("198.51.100.1", 999, "192.168.1.10", 5000, "x"), hosttest.TcpTo("198.51.100.1", 999, "192.168.1.10", 22, 2),
		hosttest.UdpTo("198.51.100.1", 999, "198.51.100.2", 3478, "x"), hosttest.UdpTo("192.168.1.77", 999, "198.51.100.2", 3478, "x"),
		hosttest.UdpTo("10.1.1.1", 999, "192.168.1.10", 5000, "x"),
	} {
		l.Inject(t, p)
	}
	if after := l.Quiet(); after != before {
		t.Errorf("%d packets left", after-before)
	}
}

// TestUntranslatedInbound: a block's hosts are reached from the internet where the section says so.
func TestUntranslatedInbound(t *testing.T) {
	t.Parallel()
	for inbound, want := range map[string]string{"accept": "hello", "drop": ""} {
		l := untranslatedRig(t, inbound)
		var c *net.UDPConn
		var err error
		l.Lan.Do(func() { c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: 5000}) })
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// An answer arrives in any case.
		if _, err := gatewaytest.Ask(c, 1, 10); err != nil {
			t.Fatal(err)
		}
		l.Inject(t, hosttest.UdpTo("198.51.100.5", 999, "192.168.1.10", 5000, "hello"))
		l.Inject(t, hosttest.UdpTo("198.51.100.1", 3478, "192.168.1.10", 5000, "answer"))
		heard := ""
		for b := make([]byte, 100); !strings.Contains(heard, "answer"); {
			c.SetReadDeadline(time.Now().Add(gatewaytest.Limit))
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			heard += string(b[:n])
		}
		if got, _, _ := strings.Cut(heard, "answer"); !strings.HasSuffix(got, want) || want == "" && strings.Contains(got, "hello") {
			t.Errorf("inbound: %s: heard %q", inbound, heard)
		}
	}
}

// TestModeChange: from a shared address to DS-Lite and back, in the order of a run: between any two steps nothing leaves
// that the rig's judge does not let pass, and a socket that goes on sending gets out again.
func TestModeChange(t *testing.T) {
	t.Parallel()
	l := untranslatedRig(t, "drop")
	c := gatewaytest.Sockets(t, l.Lan, 1)[0]
	send := func() {
		for range 5 {
			c.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":3478"))
		}
	}
	if saw, err := gatewaytest.Ask(c, 1, 10); err != nil || saw.Addr() != netip.MustParseAddr("192.168.1.10") {
		t.Fatal(saw, err)
	}
	for _, next := range []softwire.Softwire{gatewaytest.NatKinds["ocn"], gatewaytest.Untranslated, gatewaytest.NatKinds["offset0"], gatewaytest.Untranslated} {
		f := resource.Conntrack{Was: nat.Translations(l.Table())}
		l.Quiet()
		l.Mu.Lock()
		last := l.Sw
		l.Sw = next
		l.Mu.Unlock()
		f.Now, f.Pool = nat.Translations(l.Table()), l.Gateway().NATConfig().Pool()
		if err := l.Table().Write(l.Conn); err != nil {
			t.Fatal(err)
		}
		send()
		gatewaytest.WriteFilter(t, l.Gw, gatewaytest.EgressOf(next))
		send()
		l.Gw.Do(func() {
			if err := f.Write(t.Context(), &host.Host{}); err != nil {
				t.Error(err)
			}
		})
		saw, err := gatewaytest.Ask(c, 1, 10)
		if err != nil || !next.Inner.Contains(saw.Addr()) || !next.Ports.Has(saw.Port()) {
			t.Fatalf("after %v the server saw %v, %v", last.Inner, saw, err)
		}
	}
}

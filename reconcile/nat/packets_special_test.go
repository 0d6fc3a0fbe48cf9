package nat_test

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
)

// within is an address of each of the prefixes, and their last ones.
func within() (all []string) {
	for _, p := range nat.SpecialPurpose {
		high := p.Addr().As4()
		for i := p.Bits(); i < 32; i++ {
			high[i/8] |= 0x80 >> (i % 8)
		}
		high[3]-- // Broadcast is no address to send to.
		all = append(all, p.Addr().Next().Next().String(), netip.AddrFrom4(high).String())
	}
	return all
}

// raw is a socket that sends whole packets.
func raw(t *testing.T, n *hosttest.NS) (send func(p []byte)) {
	t.Helper()
	fd := -1
	n.Do(func() { fd, _ = unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW) })
	if fd < 0 {
		t.Fatal("no raw socket")
	}
	t.Cleanup(func() { unix.Close(fd) })
	return func(p []byte) { unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: [4]byte(p[16:20])}) }
}

// TestSpecialPurpose: nothing leaves for an address that no host on the internet has, from the LAN or the gateway, though
// the default route leads there, and nothing that claims to come from one reaches a forward.
func TestSpecialPurpose(t *testing.T) {
	for _, name := range gatewaytest.ForwardKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := gatewaytest.BareRig(t, gatewaytest.NatKinds[name])
			l.Forwards, l.Inbound = gatewaytest.ForwardsOf(l.Sw), "accept"
			if err := l.Table().Write(l.Conn); err != nil {
				t.Fatal(err)
			}
			// 240.0.0.0/4 among them, which Linux routes.
			for from, source := range map[*hosttest.NS]string{l.Lan: "192.168.1.10", l.Gw: "192.168.1.1"} {
				send := raw(t, from)
				for i, to := range within() {
					port := uint16(3000 + i)
					send(hosttest.UdpTo(source, port, to, 53, "x"))
					send(hosttest.TcpTo(source, port, to, 80, syn))
					send(hosttest.EchoTo(source, to, hosttest.EchoRequest, port))
				}
			}
			if n := l.Quiet(); n != 0 {
				t.Errorf("%d packets left", n)
			}
			raw(t, l.Lan)(hosttest.UdpTo("192.168.1.10", 3000, gatewaytest.Server, 53, "x"))
			for l.Quiet() == 0 {
				if t.Context().Err() != nil {
					t.Fatal("nothing leaves for the internet either")
				}
			}

			first := l.Forwards[0].Ports[0].First
			for _, source := range append(within(), gatewaytest.Server) {
				for _, port := range []uint16{first, first + 1, first + 4} {
					l.Inject(t, hosttest.UdpTo(source, 53, "192.0.2.18", port, "x"))
					l.Inject(t, hosttest.TcpTo(source, 80, "192.0.2.18", port, syn))
				}
			}
			l.Quiet()
			taken := map[string]int{}
			for line := range strings.Lines(l.Gw.Exec(t, "conntrack", "-L")) {
				if _, entry, _ := strings.Cut(line, "src="); strings.Contains(entry, " ") {
					if f := strings.Fields(entry); f[1] == "dst=192.0.2.18" {
						taken[f[0]]++
					}
				}
			}
			if len(taken) != 1 || taken[gatewaytest.Server] == 0 {
				t.Errorf("forwards took connections from %v", taken)
			}
		})
	}
}

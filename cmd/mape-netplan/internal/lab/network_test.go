package lab

import (
	"bytes"
	"net/netip"
	"os"
	"testing"
	"time"
)

// The network without a machine: it comes up, a wrong packet on the line is
// seen, an injected one leaves, and several live side by side.
func TestNetwork(t *testing.T) {
	Require(t)
	for range 3 {
		network, err := NewNetwork(Announce{Prefix: netip.MustParsePrefix("2400:4050:5c71:af00::/56"), Autonomous: true}, softwire)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		// The test stands in for the gateway: it holds the other end of the tap.
		line := network.wanTap
		line.SetReadDeadline(time.Now().Add(10 * time.Second))
		ra := await(t, line, "router advertisement", func(icmp []byte) bool { return icmp[0] == 134 })
		if prefix := netip.MustParseAddr("2400:4050:5c71:af00::").AsSlice(); !bytes.Contains(ra, prefix) {
			t.Errorf("the router does not announce the prefix: %x", ra)
		}
		for _, source := range []netip.Addr{inside, shared} {
			if _, err := line.Write(tunneled(Echo(source, server, 1776))); err != nil {
				t.Fatal(err)
			}
		}
		await(t, line, "neighbor solicitation for the CE, to which the answer goes", func(icmp []byte) bool {
			return icmp[0] == 135 && bytes.Contains(icmp, softwire.CE.AsSlice())
		})
		if r := network.Relay.Report(); r.Packets != 2 || r.Wrong != 1 || len(r.Examples) != 1 {
			t.Errorf("report %+v, want one wrong packet of two", r)
		}
	}
}

// await reads frames until one has the ICMPv6 message that is looked for.
func await(t *testing.T, line *os.File, what string, match func(icmp []byte) bool) []byte {
	t.Helper()
	buf := make([]byte, 2000)
	for {
		n, err := line.Read(buf)
		if err != nil {
			t.Fatalf("no %s: %v", what, err)
		}
		const headers = 14 + 40
		if n > headers && buf[14+6] == 58 && match(buf[headers:n]) {
			return buf[headers:n]
		}
	}
}

package lab

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// The network without a machine: it comes up, a wrong packet on the line is
// seen, an injected one leaves, and several live side by side.
func TestNetwork(t *testing.T) {
	Require(t)
	for range 3 {
		network, err := NewNetwork(Announce{Prefix: netip.MustParsePrefix("2400:4050:5c71:af00::/56")}, softwire)
		if err != nil {
			t.Fatal(err)
		}
		defer network.Close()
		buf := make([]byte, 2000)
		// The test stands in for the gateway: it holds the other end of the tap.
		if _, err := network.wanTap.Write(tunneled(Echo(inside, server, 1776))); err != nil {
			t.Fatal(err)
		}
		if _, err := network.wanTap.Write(tunneled(Echo(shared, server, 1776))); err != nil {
			t.Fatal(err)
		}
		network.wanTap.SetReadDeadline(time.Now().Add(10 * time.Second))
		// The answer of the server makes the relay look for the CE.
		for {
			n, err := network.wanTap.Read(buf)
			if err != nil {
				t.Fatalf("no neighbor solicitation for the CE: %v", err)
			}
			if n >= 14+40+24 && buf[14+40] == 135 && net.IP(buf[14+40+8:14+40+24]).Equal(softwire.CE.AsSlice()) {
				break
			}
		}
		if r := network.Relay.Report(); r.Packets != 2 || r.Wrong != 1 || len(r.Examples) != 1 {
			t.Errorf("report %+v, want one wrong packet of two", r)
		}
	}
}

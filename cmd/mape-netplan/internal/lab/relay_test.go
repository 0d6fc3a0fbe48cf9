package lab

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
)

// far are the lines of the test, one of each mode: addresses are RFC 7599's example.
var far = map[Mode]Judge{
	LW4o6:  {Mode: LW4o6, CE: netip.MustParseAddr("2001:db8:12:3400:0:c000:212:34"), BR: netip.MustParseAddr("2001:db8:ffff::2"), IPv4: netip.MustParsePrefix("192.0.2.18/32"), InSet: func(port uint16) bool { return port>>8 == 52 }, Refuses: true},
	IPIP:   {Mode: IPIP, CE: netip.MustParseAddr("2001:db8:12:3400::feed"), BR: netip.MustParseAddr("2001:db8:ffff::65"), IPv4: netip.MustParsePrefix("192.0.2.24/29")},
	MAPT:   {Mode: MAPT, CE: netip.MustParseAddr("2001:db8:12:3400:0:c000:212:34"), BR: netip.MustParseAddr("2001:db8:6::1"), IPv4: netip.MustParsePrefix("192.0.2.18/32"), InSet: func(port uint16) bool { return port >= 1024 && port>>2&255 == 52 }, DMR: netip.MustParsePrefix("2001:db8:ffff::/64"), Refuses: true},
	DSLite: {Mode: DSLite, CE: netip.MustParseAddr("2001:db8:12:3400::5"), BR: netip.MustParseAddr("2001:db8:ffff::6"), IPv4: netip.MustParsePrefix("192.168.1.0/24")},
}

// The far end of each mode carries an echo request to a server and the reply back; what is wrong it refuses, with a line
// for each packet.
func TestRelay(t *testing.T) {
	Require(t)
	network := lineNetwork(t, softwire)
	address := netip.MustParseAddr
	for _, test := range []struct {
		mode    Mode
		good    []netip.Addr // sources of a request whose identifier is in the set
		id      uint16
		bad     []byte
		refusal string
	}{
		{MAPE, []netip.Addr{shared}, 1776, Echo(shared, server, 1), "ICMP id 1 is not in the port set"},
		{LW4o6, []netip.Addr{address("192.0.2.18")}, 13312, Echo(address("192.0.2.18"), server, 13311), "ICMP id 13311 is not in the port set"},
		{IPIP, []netip.Addr{address("192.0.2.24"), address("192.0.2.31")}, 1, Echo(address("192.0.2.32"), server, 1), "inner source 192.0.2.32, want 192.0.2.24/29"},
		{MAPT, []netip.Addr{address("192.0.2.18")}, 1232, Echo(address("192.0.2.18"), server, 1236), "ICMP id 1236 is not in the port set"},
		{DSLite, []netip.Addr{address("192.168.1.10"), B4}, 1, Echo(address("192.0.0.1"), server, 1), "inner source 192.0.0.1, want 192.168.1.0/24"},
		{DSLite, []netip.Addr{address("192.168.1.11")}, 1, Echo(address("192.168.1.10"), address("10.0.0.1"), 1), "inner destination 10.0.0.1 is not on the internet"},
		{DSLite, nil, 1, Echo(address("192.168.1.10"), B4, 1), "sent back: inner destination 192.0.0.2 is the CE's own"},
	} {
		j, ok := far[test.mode]
		if !ok {
			j = softwire
		}
		if err := network.Relay.SetJudge(j); err != nil {
			t.Fatal(err)
		}
		network.neighbor(t, j.CE)
		network.Relay.Reset()
		for _, source := range test.good {
			network.send(t, j.carried(j.CE, Echo(source, server, test.id)))
			network.receive(t, test.mode.String()+": a reply to "+source.String(), func(p []byte) bool {
				inner := p[40:]
				if test.mode == MAPT {
					inner, _ = j.translator().In(p, 0)
				} else if p[6] != protoIPIP {
					return false
				}
				h, _, ok := parseIP4(inner)
				return ok && h.dst == source && h.src == server && h.proto == protoICMP && h.payload[0] == 0
			})
		}
		bad := j.carried(j.CE, test.bad)
		network.send(t, bad)
		if j.Refuses {
			network.receive(t, "ICMPv6 unreachable, source address failed policy", func(p []byte) bool {
				return p[6] == protoICMPv6 && p[40] == 1 && p[41] == 5 && bytes.Equal(p[8:24], j.BR.AsSlice()) && bytes.HasSuffix(p, bad[14:])
			})
		}
		network.send(t, j.carried(j.BR, test.bad))
		want := []string{test.refusal, "outer source " + j.BR.String() + ", want " + j.CE.String()}
		for end := time.Now().Add(time.Minute); !slices.Equal(network.Relay.Report().Refused, want); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: refused %q, want %q", test.mode, network.Relay.Report().Refused, want)
			}
		}
		if r := network.Relay.Report(); r.Packets != len(test.good)+2 || r.Wrong != 2 {
			t.Errorf("%s: %+v", test.mode, r)
		}
	}
}

// A line's other servers: the resolver's list of addresses changes, it falls silent, and the registrar notes who asked
// what, and Kea takes the options of softwires.
func TestLineServers(t *testing.T) {
	Require(t)
	network := lineNetwork(t, softwire)
	one, two := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	for _, addresses := range [][]netip.Addr{{one, two}, {two}, nil} {
		network.Resolver.Know("gw.example", addresses...)
		if got := network.lookup(t, "gw.example."); !slices.Equal(got, addresses) {
			t.Errorf("%v, want %v", got, addresses)
		}
	}
	network.Resolver.Silence(true)
	if _, err := network.ask("gw.example.", 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a silent resolver: %v", err)
	}
	if asked := slices.Compact(network.Resolver.Asked()); !slices.Equal(asked, []string{"AAAA gw.example."}) {
		t.Errorf("asked %q", asked)
	}

	network.Registrar.Say(http.StatusForbidden, "NG")
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: network.WAN.Dial}}
	req, err := http.NewRequest(http.MethodGet, "http://["+RegistrarAddress.String()+"]/update?user=u", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("u", "p")
	req.Host = "fcs.enabler.ne.jp"
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	want := []Registration{{RegistrarAddress, "fcs.enabler.ne.jp", "/update", "user=u", "Basic dTpw"}}
	if seen := network.Registrar.Seen(); resp.StatusCode != http.StatusForbidden || !slices.Equal(seen, want) {
		t.Errorf("%s, and seen was %+v", resp.Status, seen)
	}

	for range 2 { // a second server takes the place of the first
		if err := network.Provision(netip.MustParsePrefix("2001:db8:12:3400::/56")); err != nil {
			t.Error(err)
		}
	}
}

// carried is an IPv4 packet on the line as a CE at an address has it there, whether its own source is right or not.
func (j Judge) carried(ce netip.Addr, p []byte) []byte {
	if j.Mode != MAPT {
		return frame(ce, j.BR, protoIPIP, p)
	}
	tr := j.translator()
	tr.CE = ce
	packet, _ := tr.Out(p)
	return frame(ce, netip.AddrFrom16([16]byte(packet[24:40])), packet[6], packet[40:])
}

// A testLine is a network whose gateway the test plays: it holds the other end of the tap.
type testLine struct{ *Network }

func lineNetwork(t *testing.T, j Judge) testLine {
	network, err := NewNetwork(Announce{None: true}, j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	return testLine{network}
}

// neighbor has the line know the gateway's address without asking.
func (n testLine) neighbor(t *testing.T, ce netip.Addr) {
	link, err := n.WAN.links.LinkByName("line")
	if err == nil {
		mac, _ := net.ParseMAC(wanMAC)
		err = n.WAN.links.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: netlink.NUD_PERMANENT, IP: ce.AsSlice(), HardwareAddr: mac})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (n testLine) send(t *testing.T, frame []byte) {
	t.Helper()
	if _, err := n.wanTap.Write(frame); err != nil {
		t.Fatal(err)
	}
}

// receive reads frames until one has the IPv6 packet that is looked for.
func (n testLine) receive(t *testing.T, what string, match func(p []byte) bool) {
	t.Helper()
	n.wanTap.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 2000)
	for {
		size, err := n.wanTap.Read(buf)
		if err != nil {
			t.Fatalf("no %s: %v", what, err)
		}
		if p := buf[14:size]; len(p) >= 48 && p[0]>>4 == 6 && match(p) {
			return
		}
	}
}

func (n testLine) lookup(t *testing.T, name string) (addresses []netip.Addr) {
	t.Helper()
	m, err := n.ask(name, 20*time.Second)
	if err != nil || (m.RCode == dnsmessage.RCodeNameError) != (len(m.Answers) == 0) {
		t.Fatalf("%v: %+v", err, m)
	}
	for _, a := range m.Answers {
		addresses = append(addresses, netip.AddrFrom16(a.Body.(*dnsmessage.AAAAResource).AAAA))
	}
	return addresses
}

// ask asks as clients do, again until there is an answer.
func (n testLine) ask(name string, wait time.Duration) (m dnsmessage.Message, err error) {
	m.Questions = []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET}}
	question, err := m.Pack()
	if err != nil {
		return m, err
	}
	conn, err := n.WAN.Dial(context.Background(), "udp6", netip.AddrPortFrom(ResolverAddress, 53).String())
	if err != nil {
		return m, err
	}
	defer conn.Close()
	buf, size := make([]byte, 1000), 0
	for end := time.Now().Add(wait); time.Now().Before(end) && size == 0; {
		conn.Write(question)
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		size, err = conn.Read(buf)
	}
	if err == nil {
		err = m.Unpack(buf[:size])
	}
	return m, err
}

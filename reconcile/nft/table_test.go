package nft

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// sample has every kind of rule and set that can be built.
func sample() Table {
	addr := netip.MustParsePrefix("192.0.2.18/32")
	host := netip.MustParseAddrPort("192.168.1.10:22")
	name := append([]byte("mape0"), make([]byte, 11)...)
	states := binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
	tcp, udp, icmp := Is(L4Proto, []byte{6}), Is(L4Proto, []byte{17}), Is(L4Proto, []byte{1})
	return Table{
		Name: "t", Comment: "a sample",
		Timeouts: []Timeout{
			TCPTimeout("tcp-idle", 2*time.Hour, 4*time.Minute, time.Minute), UDPTimeout("udp-idle", 2*time.Minute, 5*time.Minute),
		},
		Sets: []Set{
			CountSet("busy", nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeInetService),
			TimeSet("full", time.Minute, nftables.TypeIPAddr, nftables.TypeInetService),
			PortMap("real", map[uint16]uint16{2000: 5184, 2001: 5185, 2002: 6208, 2003: 6300}),
			PortMap("none", nil),
			PrefixSet("blocks", netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("224.0.0.0/3")),
			HostMap("hosts", ToHost(5000, 5000, host.Addr()), ToHost(4000, 4999, host.Addr()), ToHost(65530, 65535, host.Addr())),
			EndpointMap("endpoints", ToEndpoint(80, host), ToEndpoint(81, netip.AddrPortFrom(host.Addr(), host.Port()+1)), ToEndpoint(82, host)),
			{Name: "addresses", Key: nftables.TypeIPAddr, Elements: []Element{{Key: []byte{192, 0, 2, 1}}}},
		},
		Chains: []Chain{
			{Name: "errors", Rules: []Rule{
				NewRule(Not(Raw(8, 1, 2), []byte{0x45}), Drop),
				NewRule(Map(Raw(28, 2, 2), "real"), Accept),
			}},
			{Name: "post", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300, Rules: []Rule{
				NewRule(Not(OIfName, name), Accept),
				NewRule(Outside(IPSaddr, addr), Drop),
				NewRule(Outside(IPSaddr, netip.MustParsePrefix("192.0.2.16/28")), Drop),
				NewRule(tcp, Has(TCPFlags, []byte{2}), MaxSegmentSize(1420)),
				NewRule(tcp, Map(TCPSport, "real"), Accept),
				NewRule(tcp, In(TCPSport, Port(1024), Port(2047)), Accept),
				NewRule(udp, Not(UDPChecksum, Port(0)), Map(UDPSport, "real"), Accept),
				NewRule(udp, Map(UDPSport.NoChecksum(), "real"), Accept),
				NewRule(icmp, Is(ICMPType, []byte{8}), Map(ICMPID, "real"), Accept),
				NewRule(icmp, Is(ICMPType, []byte{3}), Goto("errors")),
				NewRule(Drop),
			}},
			{Name: "forward", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookForward, Drop: true, Rules: []Rule{
				NewRule(Has(CtState, states), Accept),
				NewRule(RejectProtocol),
			}},
			{Name: "nat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting, Priority: 100, Rules: []Rule{
				NewRule(Is(CtOriginalDaddr, addr.Addr().AsSlice()), Masquerade),
				NewRule(tcp, SetTimeout("tcp-idle"), SNAT(addr, 1024, 2047)),
				NewRule(tcp, Over("busy", 7, IPDaddr.Value(), L4Proto.Value(), THDport.Value(), Fixed(5)), Goto("errors")),
				NewRule(OneIn(2), AtMost("busy", 7, IPDaddr.Value(), L4Proto.Value(), THDport.Value(), THSport.Value()), Drop),
				NewRule(Put("full", IPDaddr.Value(), THDport.Value())),
				NewRule(Rate(10, 20), Jump("errors")),
				NewRule(RateOver(10, 20), Return),
				NewRule(InSet("full", IPDaddr.Value(), THDport.Value()), Return),
				NewRule(udp, SNAT(netip.MustParsePrefix("192.0.2.16/28"), 1024, 65535)),
			}},
			{Name: "dstnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPrerouting, Priority: -101, Rules: []Rule{
				NewRule(InSet("blocks", IPSaddr.Value()), Drop),
				NewRule(tcp, Lookup(TCPDport, "endpoints"), SetTimeout("tcp-idle"), DNATThere(true)),
				NewRule(tcp, Lookup(TCPDport, "hosts"), DNATThere(false)),
				NewRule(Has(CtStatus, binaryutil.NativeEndian.PutUint32(32)), Drop),
				NewRule(Is(RouteOIfName, name), RejectProtocol),
				NewRule(Jump("errors")),
			}},
		},
	}
}

const sampleText = `table ip t {
	comment "a sample"
	ct timeout tcp-idle {
		protocol tcp
		l3proto ip
		policy = { syn_sent : 240s, syn_recv : 240s, established : 7200s, fin_wait : 240s, close_wait : 240s, last_ack : 240s, time_wait : 60s, close : 2s, syn_sent2 : 240s, retrans : 300s, unack : 300s }
	}

	ct timeout udp-idle {
		protocol udp
		l3proto ip
		policy = { unreplied : 120s, replied : 300s }
	}

	set addresses {
		type ipv4_addr
		elements = {
			192.0.2.1,
		}
	}

	set blocks {
		type ipv4_addr
		flags interval
		elements = {
			10.0.0.0/8,
			192.0.2.1,
			224.0.0.0/3,
		}
	}

	set busy {
		type ipv4_addr . inet_proto . inet_service . inet_service
		size 65535
		flags dynamic
	}

	map endpoints {
		type inet_service : ipv4_addr . inet_service
		elements = {
			80-81 : 192.168.1.10 . 22-192.168.1.10 . 23,
			82 : 192.168.1.10 . 22,
		}
	}

	set full {
		type ipv4_addr . inet_service
		size 65535
		flags dynamic
		timeout 1m0s
	}

	map hosts {
		type inet_service : ipv4_addr
		flags interval
		elements = {
			4000-4999 : 192.168.1.10,
			5000 : 192.168.1.10,
			65530-65535 : 192.168.1.10,
		}
	}

	map none {
		type inet_service : inet_service
		elements = {
		}
	}

	map real {
		type inet_service : inet_service
		elements = {
			2000-2001 : 5184-5185,
			2002 : 6208,
			2003 : 6300,
		}
	}

	chain dstnat {
		type nat hook prerouting priority -101; policy accept;
		ip saddr @blocks drop
		meta l4proto tcp ct timeout set "tcp-idle" dnat ip to tcp dport map @endpoints
		meta l4proto tcp dnat to tcp dport map @hosts
		ct status dnat drop
		fib daddr oifname "mape0" reject with icmp prot-unreachable
		jump errors
	}

	chain forward {
		type filter hook forward priority 0; policy drop;
		ct state established,related accept
		reject with icmp prot-unreachable
	}

	chain nat {
		type nat hook postrouting priority 100; policy accept;
		ct original ip daddr 192.0.2.18 masquerade
		meta l4proto tcp ct timeout set "tcp-idle" snat to 192.0.2.18:1024-2047
		meta l4proto tcp add @busy { ip daddr . meta l4proto . tcp dport . 5 ct count over 7 } goto errors
		numgen random mod 2 offset 0 0 add @busy { ip daddr . meta l4proto . th dport . th sport ct count 7 } drop
		update @full { ip daddr . th dport }
		limit rate 10/1s burst 20 packets jump errors
		limit rate over 10/1s burst 20 packets return
		ip daddr . th dport @full return
		meta l4proto udp snat prefix to 192.0.2.16-192.0.2.31:1024-65535
	}

	chain post {
		type filter hook postrouting priority 300; policy accept;
		oifname != "mape0" accept
		ip saddr != 192.0.2.18 drop
		ip saddr != 192.0.2.16/28 drop
		meta l4proto tcp tcp flags syn tcp option maxseg size set 1420
		meta l4proto tcp tcp sport set tcp sport map @real accept
		meta l4proto tcp tcp sport 1024-2047 accept
		meta l4proto udp udp checksum != 0 udp sport set udp sport map @real accept
		meta l4proto udp udp sport set udp sport map @real (no checksum) accept
		meta l4proto icmp icmp type echo-request icmp id set icmp id map @real accept
		meta l4proto icmp icmp type destination-unreachable goto errors
		drop
	}

	chain errors {
		@th,64,8 != 0x45 drop
		@th,224,16 set @th,224,16 map @real (checksum at 2) accept
	}
}
`

func TestText(t *testing.T) {
	if got := sample().Text(); got != sampleText {
		t.Errorf("got:\n%s\nwant:\n%s", got, sampleText)
	}
	if got := (Table{Name: "t"}).Text(); got != "" {
		t.Errorf("an absent table has the text %q", got)
	}
}

func TestReadAfterWrite(t *testing.T) {
	c, _ := freshNS(t)
	for range 2 {
		if err := sample().Write(c); err != nil {
			t.Fatal(err)
		}
		got, err := Read(c, "t")
		if err != nil {
			t.Fatal(err)
		}
		if got.Text() != sampleText {
			t.Fatalf("read:\n%s\nwritten:\n%s", got.Text(), sampleText)
		}
		// What was read can be written in its turn: that is what a rollback does.
		if err := got.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := (Table{Name: "t"}).Write(c); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(c, "t"); err != nil || got.Text() != "" {
			t.Fatalf("after deletion: %q, %v", got.Text(), err)
		}
	}
}

// TestBigMaps: the largest maps there can be fit in one transaction.
func TestBigMaps(t *testing.T) {
	c, _ := freshNS(t)
	ports := map[uint16]uint16{}
	for p := range 65536 {
		ports[uint16(p)] = ^uint16(p)
	}
	table := Table{Name: "t", Sets: []Set{PortMap("a", ports), PortMap("b", ports)}}
	if err := table.Write(c); err != nil {
		t.Fatal(err)
	}
	live, err := Read(c, "t")
	if err != nil || live.Text() != table.Text() {
		t.Errorf("read back: %v, %d bytes of %d", err, len(live.Text()), len(table.Text()))
	}
}

// TestManyRules: no reply for each rule overruns the socket. A release that had a rule for each forwarded port made such tables.
func TestManyRules(t *testing.T) {
	c, _ := freshNS(t)
	table := Table{Name: "t", Chains: []Chain{{Name: "many", Rules: slices.Repeat([]Rule{NewRule(Drop)}, 5000)}}}
	if err := table.Write(c); err != nil {
		t.Fatal(err)
	}
	live, err := Read(c, "t")
	if err != nil || live.Text() != table.Text() {
		t.Errorf("read back: %v, %d bytes of %d", err, len(live.Text()), len(table.Text()))
	}
}

// TestTransactionSize: an element takes less than a hundred bytes of the transaction, however many there are.
func TestTransactionSize(t *testing.T) {
	size := func(n int) (bytes int) {
		var ports []Element
		for p := range n {
			ports = append(ports, ToEndpoint(uint16(p+1), netip.MustParseAddrPort("192.168.1.10:22")))
		}
		messages, err := Table{Name: "t", Sets: []Set{EndpointMap("m", ports...)}}.transaction(Table{Name: "t"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			bytes += len(m.Data) + unix.NLMSG_HDRLEN
		}
		return bytes
	}
	few, many := size(1), size(4097)
	t.Logf("%d bytes, and %d with 4096 elements more", few, many)
	if many-few > 4096*100 || many < 4096*16 {
		t.Error("that is not right")
	}
}

func TestDrift(t *testing.T) {
	c, nft := freshNS(t)
	for _, command := range []string{
		"flush table ip t", "flush chain ip t post", "flush map ip t real", "delete table ip t",
		"add rule ip t post counter accept", "insert rule ip t post meta mark 1 accept", "add rule ip t forward rt mtu 1000 drop",
		"add rule ip t nat masquerade", "add rule ip t post ip saddr 10.0.0.0/8 limit rate 1/second accept",
		"add rule ip t errors ip dscp set cs1", "add rule ip t errors meta mark set 1", "add rule ip t errors ct mark set meta mark",
		"add rule ip t errors tcp dport vmap { 22 : drop, 23 : accept }", "add rule ip t errors ip daddr . tcp dport { 1.2.3.4 . 5 } drop",
		"add rule ip t errors tcp dport { 1-5, 7 } drop", "add rule ip t errors jhash ip saddr mod 4 == 1 drop",
		"delete element ip t real { 2001 : 5185 }", "delete element ip t real { 2001 : 5185 }; add element ip t real { 2001 : 5186 }",
		"delete element ip t addresses { 192.0.2.1 }",
		"delete element ip t blocks { 10.0.0.0/8 }", "add element ip t blocks { 1.2.3.4-1.2.3.9 }", "delete element ip t endpoints { 81 }",
		"delete element ip t hosts { 4000-4999 }; add element ip t hosts { 4000-4998 : 192.168.1.10 }",
		"delete table ip t; add table ip t { comment \"another\"; }",
		"add chain ip t extra", "add chain ip t extra { type filter hook input priority 0; }", "chain ip t forward { policy accept; }",
		"add set ip t extra { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 }; }",
		"add set ip t extra { type ifname . inet_proto; flags timeout; timeout 1h; elements = { eth0 . tcp timeout 1m }; }",
		"add map ip t extra { type inet_service : verdict; elements = { 1 : drop, 2 : jump errors }; }",
		"add counter ip t extra", "add ct timeout ip t extra { protocol tcp; l3proto ip; policy = { established : 60 }; }",
		"flush chain ip t nat; flush chain ip t dstnat; delete ct timeout ip t tcp-idle",
		"flush chain ip t nat; flush chain ip t errors; delete set ip t busy", "add table ip t { flags dormant; }",
	} {
		t.Run(command, func(t *testing.T) {
			if err := sample().Write(c); err != nil {
				t.Fatal(err)
			}
			nft(command)
			got, err := Read(c, "t")
			if err != nil {
				t.Fatal(err)
			}
			if got.Text() == sampleText {
				t.Fatal("the text is the same")
			}
			t.Log(got.Text())
			if err := sample().Write(c); err != nil {
				t.Fatal(err)
			}
			if got, err = Read(c, "t"); err != nil || got.Text() != sampleText {
				t.Fatalf("written again:\n%s%v", got.Text(), err)
			}
		})
	}
}

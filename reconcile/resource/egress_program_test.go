package resource_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/net/bpf"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/softwire"
)

// egressVM runs a filter's program as the kernel does: true lets a packet out.
func egressVM(t testing.TB, s softwire.Softwire) func(p []byte) bool {
	t.Helper()
	return programVM(t, gatewaytest.EgressOf(s).Program)
}

func programVM(t testing.TB, program []bpf.RawInstruction) func(p []byte) bool {
	t.Helper()
	var list []bpf.Instruction
	for _, raw := range program {
		list = append(list, raw.Disassemble())
	}
	vm, err := bpf.NewVM(list)
	if err != nil {
		t.Fatal(err)
	}
	return func(p []byte) bool {
		t.Helper()
		verdict, err := vm.Run(p)
		if err != nil {
			t.Fatal(err)
		}
		switch uint32(verdict) {
		case 1<<32 - 1: // TC_ACT_UNSPEC
			return true
		case 2: // TC_ACT_SHOT
			return false
		}
		t.Fatalf("verdict %d on %x", verdict, p)
		return false
	}
}

// withOptions puts n words of options behind a packet's IPv4 header.
func withOptions(p []byte, n int) []byte {
	p = slices.Insert(slices.Clone(p), 20, make([]byte, 4*n)...)
	p[0] += byte(n)
	return p
}

// laterFragment is the second fragment of something, with n bytes of data.
func laterFragment(src string, n int) []byte {
	p := hosttest.Ipv4(src, gatewaytest.Server, 17, make([]byte, 40))
	p[7] = 185
	return p[:20+n]
}

func TestEgressProgram(t *testing.T) {
	const shared, lan = "192.0.2.18", "192.168.1.10"
	for _, name := range []string{"ocn", "offset0", "address", "prefix"} {
		sw := gatewaytest.NatKinds[name]
		out := egressVM(t, sw)
		in := sw.Ports.Ranges()[0].Last
		outside := in + 1 // of the set
		always := sw.Ports.PSIDLen == 0
		quoted := hosttest.UdpTo(gatewaytest.Server, 53, shared, in, "x")
		for _, test := range []struct {
			what string
			p    []byte
			want bool
		}{
			{"TCP", hosttest.TcpTo(shared, in, gatewaytest.Server, 80, 2), true},
			{"UDP", hosttest.UdpTo(shared, in, gatewaytest.Server, 53, ""), true},
			{"echo", hosttest.EchoTo(shared, gatewaytest.Server, hosttest.EchoRequest, in), true},
			{"TCP outside of the set", hosttest.TcpTo(shared, outside, gatewaytest.Server, 80, 2), always},
			{"UDP outside of the set", hosttest.UdpTo(shared, outside, gatewaytest.Server, 53, "x"), always},
			{"echo outside of the set", hosttest.EchoTo(shared, gatewaytest.Server, hosttest.EchoRequest, outside), always},
			{"echo reply", hosttest.EchoTo(shared, gatewaytest.Server, hosttest.EchoReply, in), always},
			{"timestamp", hosttest.EchoTo(shared, gatewaytest.Server, 13, in), always},
			{"another protocol", hosttest.Ipv4(shared, gatewaytest.Server, 47, make([]byte, 20)), always},
			{"unreachable", hosttest.ErrorTo(shared, gatewaytest.Server, hosttest.DestinationUnreachable, 3, 0, quoted), true},
			{"time exceeded", hosttest.ErrorTo(shared, gatewaytest.Server, hosttest.TimeExceeded, 0, 0, quoted), true},
			{"parameter problem", hosttest.ErrorTo(shared, gatewaytest.Server, hosttest.ParameterProblem, 0, 0, quoted), true},
			{"redirect", hosttest.ErrorTo(shared, gatewaytest.Server, 5, 0, 0, quoted), always},
			{"later fragment", laterFragment(shared, 40), true},
			{"last byte of a fragment", laterFragment(shared, 1), true},
			{"empty", nil, false},
			{"half a header", hosttest.TcpTo(shared, in, gatewaytest.Server, 80, 2)[:19], false},
			{"no port", hosttest.TcpTo(shared, in, gatewaytest.Server, 80, 2)[:21], always},
			{"no identifier", hosttest.EchoTo(shared, gatewaytest.Server, hosttest.EchoRequest, in)[:24], always},
			{"IPv6", append([]byte{0x60}, hosttest.TcpTo(shared, in, gatewaytest.Server, 80, 2)[1:]...), false},
			{"private TCP", hosttest.TcpTo(lan, in, gatewaytest.Server, 80, 2), false},
			{"private UDP", hosttest.UdpTo(lan, in, gatewaytest.Server, 53, "x"), false},
			{"private echo", hosttest.EchoTo(lan, gatewaytest.Server, hosttest.EchoRequest, in), false},
			{"private error", hosttest.ErrorTo(lan, gatewaytest.Server, hosttest.TimeExceeded, 0, 0, quoted), false},
			{"private fragment", laterFragment(lan, 40), false},
			{"what came in", hosttest.UdpTo(gatewaytest.Server, 53, shared, in, "x"), false},
		} {
			if got := out(test.p); got != test.want {
				t.Errorf("%s, %s: %v, want %v", name, test.what, got, test.want)
			}
			for n := 1; n <= 10 && len(test.p) >= 28; n++ {
				if p := withOptions(test.p, n); out(p) != test.want {
					t.Errorf("%s, %s, with %d words of options: %v, want %v", name, test.what, n, out(p), test.want)
				}
			}
		}
		// What ends behind its options has no port.
		for n := 1; n <= 10; n++ {
			if out(withOptions(hosttest.TcpTo(shared, in, gatewaytest.Server, 80, 2), n)[:20+4*n]) != always {
				t.Errorf("%s: a packet without a transport header, with %d words of options: %v", name, n, !always)
			}
		}
	}
	if out := egressVM(t, gatewaytest.NatKinds["prefix"]); !out(hosttest.TcpTo("192.0.2.19", 5000, gatewaytest.Server, 80, 2)) || out(hosttest.TcpTo("192.0.2.32", 5000, gatewaytest.Server, 80, 2)) {
		t.Error("of a prefix the filter lets out something else than its addresses")
	}
}

// TestEgressPorts compares ports with the softwire's own arithmetic, those at the edges of the set among them, and finds the softwire in the program again.
func TestEgressPorts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	kinds := []softwire.Softwire{{Inner: netip.MustParsePrefix("192.0.2.18/28")}}
	for _, sw := range gatewaytest.NatKinds {
		kinds = append(kinds, sw)
	}
	for offset := range 16 {
		for length := range 17 - offset {
			psid := uint16(r.IntN(1 << length))
			kinds = append(kinds,
				softwire.Softwire{Inner: netip.MustParsePrefix("192.0.2.18/32"), Ports: softwire.Ports{PSID: psid, PSIDLen: length, PSIDOffset: offset}},
				softwire.Softwire{Inner: netip.MustParsePrefix("192.0.2.18/32"), Ports: softwire.Ports{PSIDLen: length, PSIDOffset: offset}})
		}
	}
	for _, sw := range kinds {
		name := fmt.Sprintf("%v, PSID %d of %d, offset %d", sw.Inner, sw.Ports.PSID, sw.Ports.PSIDLen, sw.Ports.PSIDOffset)
		out := egressVM(t, sw)
		source := sw.Inner.Addr().String()
		packets := []struct {
			at int
			p  []byte
		}{{20, hosttest.TcpTo(source, 0, gatewaytest.Server, 80, 2)}, {20, hosttest.UdpTo(source, 0, gatewaytest.Server, 53, "x")}, {24, hosttest.EchoTo(source, gatewaytest.Server, hosttest.EchoRequest, 0)}}
		for _, x := range slices.Clone(packets) {
			packets = append(packets, struct {
				at int
				p  []byte
			}{x.at + 12, withOptions(x.p, 3)})
		}
		ports := []uint16{0, 1, 1<<16 - 1}
		for range 200 {
			ports = append(ports, uint16(r.IntN(1<<16)))
		}
		ranges := sw.Ports.Ranges()
		r.Shuffle(len(ranges), func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
		for _, set := range ranges[:min(len(ranges), 100)] {
			ports = append(ports, set.First-1, set.First, set.Last, set.Last+1)
		}
		for _, port := range ports {
			want := sw.Ports.Has(port) || sw.Ports.PSIDLen == 0
			for _, x := range packets {
				binary.BigEndian.PutUint16(x.p[x.at:], port)
				if out(x.p) != want {
					t.Fatalf("%s: port %d in %x: %v", name, port, x.p, !want)
				}
			}
		}
		sources, set, ok := nat.LetsOut(gatewaytest.EgressOf(sw).Program)
		if sw.Ports.PSIDLen == 0 {
			set.PSIDOffset = sw.Ports.PSIDOffset // It has no effect.
		}
		if !ok || !slices.Equal(sources, []netip.Prefix{sw.Inner.Masked()}) || set != sw.Ports {
			t.Errorf("%s: found again as %v, %+v, %v", name, sources, set, ok)
		}
	}
}

// TestEgressSources: of several sources each leaves, with any port, and nothing else does.
func TestEgressSources(t *testing.T) {
	t.Parallel()
	var sources []netip.Prefix
	for n := range 40 {
		sources = append(sources, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n), 0, 0}), 10+n%23).Masked())
		all := nat.Disjoint(sources)
		program := nat.EgressProgram(all, softwire.Ports{})
		if found, ports, ok := nat.LetsOut(program); !ok || !slices.Equal(found, all) || ports != (softwire.Ports{}) {
			t.Fatalf("%v: found again as %v, %+v, %v", all, found, ports, ok)
		}
		out := programVM(t, program)
		for second := range 60 {
			for _, last := range []byte{0, 1, 255} {
				src := netip.AddrFrom4([4]byte{10, byte(second), last, last})
				want := slices.ContainsFunc(sources, func(p netip.Prefix) bool { return p.Contains(src) })
				for _, p := range [][]byte{hosttest.TcpTo(src.String(), 1, gatewaytest.Server, 80, 2), hosttest.Ipv4(src.String(), gatewaytest.Server, 47, make([]byte, 8))} {
					if out(p) != want {
						t.Fatalf("%v: %v leaves: %v", all, src, !want)
					}
				}
			}
		}
	}
}

// TestEgressText: another program than ours is another text, wherever it differs.
func TestEgressText(t *testing.T) {
	e := gatewaytest.EgressOf(gatewaytest.NatKinds["ocn"])
	for name, want := range map[string]string{
		"ocn":     "lets out source 192.0.2.18, PSID 52 of 6 bits, offset 6\n",
		"address": "lets out source 192.0.2.18\n",
		"prefix":  "lets out source 192.0.2.16/28\n",
	} {
		if got := gatewaytest.EgressOf(gatewaytest.NatKinds[name]).Text(); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	for i := range e.Program {
		for bit := range 64 {
			other := resource.Egress{Link: e.Link, Program: slices.Clone(e.Program), Flags: e.Flags}
			x := &other.Program[i]
			switch {
			case bit < 16:
				x.Op ^= 1 << bit
			case bit < 24:
				x.Jt ^= 1 << (bit - 16)
			case bit < 32:
				x.Jf ^= 1 << (bit - 24)
			default:
				x.K ^= 1 << (bit - 32)
			}
			if other.Text() == e.Text() {
				t.Fatalf("instruction %d, bit %d: no difference", i, bit)
			}
		}
		if short := (resource.Egress{Link: e.Link, Program: e.Program[:i], Flags: e.Flags}); short.Text() == e.Text() {
			t.Errorf("%d instructions: no difference", i)
		}
	}
	if (resource.Egress{Link: e.Link, Program: e.Program}).Text() == e.Text() {
		t.Error("without direct action: no difference")
	}
}

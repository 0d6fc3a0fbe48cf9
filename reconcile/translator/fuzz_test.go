package translator_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/translator"
)

// load loads the programs for BPF_PROG_TEST_RUN, whose packets have an Ethernet header.
func load(t testing.TB, tr translator.Translator) *translator.Programs {
	t.Helper()
	hosttest.NeedBPF(t)
	p, err := translator.Load(tr, translator.Place{WAN: 1, Tunnel: 1, WANHeader: 14, TunnelHeader: 14})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// A bench runs programs over packets.
type bench struct {
	*translator.Programs
	frame, result []byte
}

func newBench(p *translator.Programs) *bench {
	return &bench{p, make([]byte, 14, 4096), make([]byte, 4096)}
}

// run is what a program makes of a packet.
func (b *bench) run(t testing.TB, program *ebpf.Program, etherType uint16, packet []byte) ([]byte, translator.Verdict) {
	b.frame = append(b.frame[:12], byte(etherType>>8), byte(etherType))
	b.frame = append(b.frame, packet...)
	o := ebpf.RunOptions{Data: b.frame, DataOut: b.result[:cap(b.result)]}
	action, err := program.Run(&o)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(packet), err)
	}
	switch action {
	case 7: // TC_ACT_REDIRECT
		return o.DataOut[14:], translator.Translated
	case 1<<32 - 1: // TC_ACT_UNSPEC
		return nil, translator.Passed
	case 2: // TC_ACT_SHOT
		return nil, translator.Failed
	}
	t.Fatalf("action %d", action)
	return nil, 0
}

// TestPrograms has the programs of the kernel do what Out and In do, with a million packets made at random: the same in every
// run.
func TestPrograms(t *testing.T) {
	const packets = 1_000_000
	for i, change := range []func(*translator.Translator){
		func(*translator.Translator) {},
		func(t *translator.Translator) { t.PSID, t.PSIDLen, t.PSIDOffset = 52, 8, 6 },
		func(t *translator.Translator) { t.PSIDLen, t.MTU = 0, 1280 },
		func(t *translator.Translator) { t.PSID, t.PSIDLen, t.PSIDOffset, t.MTU = 0, 8, 6, 9000 },
	} {
		for j, bits := range []int{96, 64, 56, 48, 40, 32} {
			if i > 0 && j != i {
				continue
			}
			tr := jool
			change(&tr)
			if bits != 96 {
				tr.DMR = netip.MustParsePrefix(fmt.Sprintf("2001:db8::/%d", bits))
			}
			t.Run(fmt.Sprintf("%s PSID %d of %d bits", tr.DMR, tr.PSID, tr.PSIDLen), func(t *testing.T) {
				t.Parallel()
				compare(t, tr, uint64(i*6+j), packets/18)
			})
		}
	}
}

func compare(t *testing.T, tr translator.Translator, seed uint64, packets int) {
	b := newBench(load(t, tr))
	g := generator{rand.New(rand.NewPCG(seed, 0)), tr}
	var out, in [translator.Verdicts]uint64
	for range packets {
		p := g.out()
		want, verdict := tr.Out(p)
		out[verdict]++
		got, action := b.run(t, b.Out46, 0x0800, p)
		agree(t, p, want, verdict, got, action)

		p = g.in()
		got, action = b.run(t, b.In64, 0x86dd, p)
		var id uint16
		if len(got) > 8 && got[6]|got[7] == 0 { // Only then it may be made up.
			id = uint16(got[4])<<8 | uint16(got[5])
		}
		want, verdict = tr.In(p, id)
		if len(p) >= 40 && p[0]>>4 == 6 && bytes.Equal(p[24:40], tr.CE.AsSlice()) {
			in[verdict]++
		}
		agree(t, p, want, verdict, got, action)
		if t.Failed() {
			return
		}
	}
	gotOut, gotIn, err := b.Counts()
	if err != nil || gotOut != out {
		t.Errorf("out was counted %d, want %d, %v", gotOut, out, err)
	}
	// What is passed before it is known for the CE's is not counted.
	if gotIn != in {
		t.Errorf("in was counted %d, want %d", gotIn, in)
	}
	notOut := []translator.Verdict{translator.Passed, translator.Checksum, translator.Port, translator.Header}
	notIn := []translator.Verdict{translator.Destination, translator.SourceRoute, translator.Type, translator.Quoted}
	for v := range translator.Failed {
		if (out[v] == 0) != slices.Contains(notOut, v) || (in[v] == 0) != (slices.Contains(notIn, v) || v == translator.Port && tr.PSIDLen == 0) {
			t.Errorf("of %d packets out %d and in %d are %v", packets, out[v], in[v], v)
		}
	}
}

func agree(t *testing.T, p, want []byte, verdict translator.Verdict, got []byte, action translator.Verdict) {
	t.Helper()
	if verdict > translator.Passed {
		verdict = translator.Failed
	}
	// Padding behind the packet stays there.
	if verdict != action || !bytes.Equal(got[:min(len(got), len(want))], want) {
		t.Errorf("%x\nbecomes\n%x, %v; want\n%x, %v", p, got, action, want, verdict)
	}
}

// A generator makes packets such as occur, and spoils some.
type generator struct {
	*rand.Rand
	translator.Translator
}

func (g generator) pick(of ...int) int { return of[g.IntN(len(of))] }

// remote is the first byte of a far end's IPv4 address.
func (g generator) remote() int {
	if g.IntN(4) > 0 {
		return 203
	}
	return g.pick(0, 127, 223, 224, 255, g.IntN(256))
}

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// size is mostly small, and sometimes about what the rules distinguish.
func (g generator) size() int {
	return g.pick(0, 1, 2, 7, 8, 11, 12, 20, g.IntN(64), g.IntN(64), g.IntN(1500), g.pick(1232, 1233, 1464, 1465), 1200+g.IntN(100), 1400+g.IntN(1200))
}

func (g generator) port() int {
	return g.pick(port, port, port, port, g.pick(1231, 1232, 1235, 1236), g.pick(0, 1023, 1024, 1027, 1028), g.IntN(1<<16))
}

// body is a transport header with a payload; inbound has port as its destination.
func (g generator) body(protocol byte, inbound bool) []byte {
	src, dst := g.port(), g.IntN(1<<16)
	if inbound {
		src, dst = dst, src
	}
	ports := []byte{byte(src >> 8), byte(src), byte(dst >> 8), byte(dst)}
	switch protocol {
	case 6:
		return append(append(ports, g.bytes(16)...), g.bytes(g.size())...)
	case 17:
		payload := g.bytes(g.size())
		n := len(payload) + 8
		b := append(ports, byte(n>>8), byte(n), byte(g.Uint32()), byte(g.Uint32()))
		if g.IntN(6) == 0 {
			b[6], b[7] = 0, 0
		}
		return append(b, payload...)
	}
	return g.bytes(8 + g.size())
}

// ip4 is an IPv4 packet from or to the CE.
func (g generator) ip4(fromCE bool, depth int) []byte {
	protocol := byte(g.pick(1, 1, 1, 6, 6, 17, 17, 17, 47, 50, 58, 44, 0, 132, g.IntN(256)))
	var body []byte
	switch {
	case protocol != 1:
		body = g.body(protocol, !fromCE)
	case g.IntN(3) == 0 || depth > 1:
		id := g.port()
		body = append([]byte{byte(g.pick(8, 0, 13)), 0, byte(g.Uint32()), 1, byte(id >> 8), byte(id)}, g.bytes(2+g.size())...)
	default:
		kind, code := g.pick(3, 3, 3, 11, 12, 5, g.IntN(256)), g.pick(0, 1, 2, 3, 4, 4, g.IntN(20))
		body = append([]byte{byte(kind), byte(code)}, g.bytes(2)...)
		body = append(body, byte(g.pick(0, g.IntN(24))), 0, byte(g.pick(0, 0, 4, 5)), byte(g.pick(0, g.IntN(256))))
		about := g.ip4(!fromCE, depth+1)
		if g.IntN(2) == 0 {
			about = about[:min(len(about), 20+g.IntN(40))]
		}
		body = append(body, about...)
	}
	remote := netip.AddrFrom4([4]byte{byte(g.remote()), byte(g.Uint32()), byte(g.Uint32()), byte(g.Uint32())})
	src, dst := g.IPv4, remote
	if !fromCE {
		src, dst = dst, src
	}
	p := make([]byte, 20, 60+len(body))
	p[0], p[1], p[8], p[9] = 0x45, byte(g.pick(0, g.IntN(256))), byte(g.Uint32()), protocol
	copy(p[4:], g.bytes(2))
	p[6] = byte(g.pick(0, 0x40, 0x40, 0x20, 0x1f, 0x80))
	if g.IntN(8) == 0 {
		p[7] = byte(g.Uint32())
	}
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	p = sized(append(p, body...))
	if g.IntN(6) == 0 {
		p = withOptions(p, g.options()...)
	}
	return g.spoil(p, depth)
}

func (g generator) options() (o []byte) {
	for g.IntN(4) > 0 {
		n := 3 + g.IntN(12)
		option := append([]byte{byte(g.pick(7, 131, 137, 68, 148, 1, 0, g.IntN(256))), byte(g.pick(n, n, n, n, n, g.IntN(20))), byte(g.pick(4, n, n+1))}, g.bytes(n-3)...)
		if option[0] < 2 {
			option = option[:1]
		}
		if len(o)+len(option) > 40 {
			break
		}
		o = append(o, option...)
	}
	return o
}

func (g generator) out() []byte { return g.ip4(true, 0) }

// in is an IPv6 packet to the CE.
func (g generator) in() []byte { return g.ip6(false, 0) }

func (g generator) ip6(fromCE bool, depth int) []byte {
	protocol := byte(g.pick(58, 58, 58, 58, 6, 6, 17, 17, 17, 47, 4, 1, 132, g.IntN(256)))
	var body []byte
	switch {
	case protocol != 58:
		body = g.body(protocol, !fromCE)
	case g.IntN(3) == 0 || depth > 1:
		id := g.port()
		body = append([]byte{byte(g.pick(128, 129, 129, 135)), 0, byte(g.Uint32()), 1, byte(id >> 8), byte(id)}, g.bytes(2+g.size())...)
	default:
		kind, code := g.pick(1, 2, 3, 4, 4, g.IntN(8)), g.pick(0, 0, 1, 2, 3, 4, g.IntN(9))
		body = append([]byte{byte(kind), byte(code)}, g.bytes(2)...)
		body = append(body, 0, byte(g.pick(0, 0, 0, 1)), byte(g.pick(0, 0, 4, 5)), byte(g.pick(0, g.IntN(48), g.IntN(256))))
		about := g.ip6(!fromCE, depth+1)
		if g.IntN(2) == 0 {
			about = about[:min(len(about), 40+g.IntN(40))]
		}
		body = append(body, about...)
	}
	next, headers := protocol, []byte(nil)
	for g.IntN(4) == 0 {
		h := append([]byte{next}, g.bytes(7)...)
		switch next = byte(g.pick(44, 44, 44, 0, 43, 60)); next {
		case 44:
			h[2], h[3] = byte(g.pick(0, 0, 0, g.IntN(256))), byte(g.pick(0, 1, 1, 8, g.IntN(256)))
		default:
			h[1], h[3] = byte(g.pick(0, 0, 0, 1, 63, 64)), byte(g.pick(0, 0, 0, 1))
			h = append(h, g.bytes(int(h[1])*8)...)
		}
		headers = append(h, headers...)
	}
	var remote netip.Addr
	if g.IntN(6) == 0 {
		remote = netip.MustParseAddr("2001:db8:f:9::1")
	} else {
		remote = translator.Embed(g.DMR, netip.AddrFrom4([4]byte{byte(g.remote()), byte(g.Uint32()), byte(g.Uint32()), byte(g.Uint32())}))
	}
	src, dst := remote, g.CE
	if fromCE {
		src, dst = dst, src
	}
	p := ipv6(src, dst, next, headers, protocol, slices.Clip(body))
	if at := 40 + len(headers) + 6; protocol == 17 && g.IntN(8) == 0 {
		p[at], p[at+1] = 0, 0
	}
	p[0], p[1] = 0x60|byte(g.pick(0, g.IntN(16))), byte(g.pick(0, g.IntN(256)))
	if g.IntN(2) == 0 {
		copy(p[2:4], g.bytes(2))
		p[7] = byte(g.Uint32())
	}
	return g.spoil(p, depth)
}

// spoil changes a few bytes, the length, or mostly nothing. The kernel's test takes packets of a whole header and up to 3 kB.
func (g generator) spoil(p []byte, depth int) []byte {
	least := 20
	if p[0]>>4 == 6 {
		least = 40
	}
	switch g.IntN(10) {
	case 0:
		for range 1 + g.IntN(3) {
			p[g.IntN(min(len(p), 80))] ^= 1 << g.IntN(8)
		}
	case 1:
		p = p[:min(len(p), least+g.IntN(len(p)))]
	case 2:
		p = append(p, g.bytes(g.IntN(20))...)
	}
	if depth == 0 {
		p = p[:min(len(p), 3000)]
	}
	return p
}

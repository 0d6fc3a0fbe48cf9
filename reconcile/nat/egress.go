package nat

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"

	"golang.org/x/net/bpf"

	"mape-netplan/reconcile/softwire"
)

// Verdicts of a filter in direct-action mode (linux/pkt_cls.h).
const (
	pass = 1<<32 - 1 // TC_ACT_UNSPEC: other filters decide as well
	drop = 2         // TC_ACT_SHOT
)

// Where an EgressProgram has its values.
const (
	maskAt   = 3 // of the first source's mask, and after it the source
	perMask  = 4 // from one of several sources to the next
	portBack = 5 // from the end, of the port's comparison: lowest, mask, value, and two verdicts
)

// EgressProgram is a classic BPF program that passes what the table passes, as far as the packet alone shows it: by its
// source and, where one address is shared, by a port or identifier of the set. ICMP errors and later fragments have neither.
//
// Its offsets are from the packet's data, which on a tunnel is the IPv4 header: the kernel inlines such loads, and calls a
// function for those from the network header. A load beyond the end of a packet would end the program with 0, which passes
// it, so each length is compared first.
func EgressProgram(sources []netip.Prefix, ports softwire.Ports) []bpf.RawInstruction {
	p := assembly{at: map[string]int{}, to: map[int]string{}}
	p.add(bpf.LoadExtension{Num: bpf.ExtLen})
	p.jump(bpf.JumpLessThan, 20, "drop")
	for i, source := range sources {
		a := source.Masked().Addr().As4()
		p.add(bpf.LoadAbsolute{Off: 12, Size: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: ^uint32(0) << (32 - source.Bits())})
		if value := binary.BigEndian.Uint32(a[:]); i < len(sources)-1 {
			// A jump reaches 255 instructions.
			p.list = append(p.list, bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: value, SkipTrue: 1})
			p.list = append(p.list, bpf.Jump{Skip: uint32(perMask*(len(sources)-1-i) - 1)})
		} else {
			p.jump(bpf.JumpNotEqual, value, "drop")
		}
	}
	p.add(bpf.LoadAbsolute{Off: 0, Size: 1})
	if ports.PSIDLen > 0 {
		p.ports()
		p.add(bpf.LoadAbsolute{Off: 20, Size: 2})
		p.label("compare")
		width := 16 - ports.PSIDOffset - ports.PSIDLen
		lowest := uint32(1) // Port 0 is reserved (RFC 6335 section 6).
		if ports.PSIDOffset > 0 {
			lowest = 1 << (16 - ports.PSIDOffset)
		}
		p.jump(bpf.JumpLessThan, lowest, "drop")
		p.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: (1<<ports.PSIDLen - 1) << width})
		p.jump(bpf.JumpEqual, uint32(ports.PSID)<<width, "pass")
	} else {
		p.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0})
		p.jump(bpf.JumpEqual, 0x40, "pass")
	}
	p.label("drop")
	p.add(bpf.RetConstant{Val: drop})
	p.label("pass")
	p.add(bpf.RetConstant{Val: pass})
	return p.assemble()
}

// ports continues with the first byte loaded. It jumps to where a port is loaded from the beginning of the header of TCP or
// UDP, or to "compare" with a port or identifier loaded.
func (p *assembly) ports() {
	const later = 0x1fff // the fragment offset of any fragment but the first
	protocols := func(port, icmp string) {
		p.jump(bpf.JumpEqual, 6, port)
		p.jump(bpf.JumpEqual, 17, port)
		p.jump(bpf.JumpEqual, 1, icmp)
		p.add(bpf.RetConstant{Val: drop})
	}
	types := func(echo string) {
		p.jump(bpf.JumpEqual, echoRequest, echo)
		for _, e := range icmpErrors {
			p.jump(bpf.JumpEqual, uint32(e), "pass")
		}
		p.add(bpf.RetConstant{Val: drop})
	}
	p.jump(bpf.JumpNotEqual, 0x45, "options")
	// Flags and offset, time to live, protocol.
	p.add(bpf.LoadAbsolute{Off: 6, Size: 4})
	p.jump(bpf.JumpBitsSet, later<<16, "pass")
	p.add(bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xff})
	protocols("port", "icmp")

	p.label("icmp")
	p.add(bpf.LoadExtension{Num: bpf.ExtLen})
	p.jump(bpf.JumpLessThan, 28, "drop")
	p.add(bpf.LoadAbsolute{Off: 20, Size: 1})
	types("identifier")
	p.label("identifier")
	p.add(bpf.LoadAbsolute{Off: 24, Size: 2})
	p.jump(bpf.JumpGreaterOrEqual, 0, "compare")

	p.label("options")
	p.jump(bpf.JumpLessThan, 0x45, "drop")
	p.jump(bpf.JumpGreaterThan, 0x4f, "drop")
	p.add(bpf.LoadAbsolute{Off: 6, Size: 2})
	p.jump(bpf.JumpBitsSet, later, "pass")
	p.add(bpf.LoadMemShift{Off: 0}, bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: 8}, bpf.JumpIfX{Cond: bpf.JumpGreaterOrEqual, SkipTrue: 1},
		bpf.RetConstant{Val: drop}, bpf.LoadAbsolute{Off: 9, Size: 1})
	protocols("port behind options", "icmp behind options")
	p.label("icmp behind options")
	p.add(bpf.LoadIndirect{Off: 0, Size: 1})
	types("identifier behind options")
	p.label("identifier behind options")
	p.add(bpf.LoadIndirect{Off: 4, Size: 2})
	p.jump(bpf.JumpGreaterOrEqual, 0, "compare")
	p.label("port behind options")
	p.add(bpf.LoadIndirect{Off: 0, Size: 2})
	p.jump(bpf.JumpGreaterOrEqual, 0, "compare")

	p.label("port")
	p.add(bpf.LoadExtension{Num: bpf.ExtLen})
	p.jump(bpf.JumpLessThan, 28, "drop")
}

// LetsOut returns what an EgressProgram was made of; false for any other program.
func LetsOut(program []bpf.RawInstruction) (sources []netip.Prefix, ports softwire.Ports, ok bool) {
	n := len(program)
	for at := maskAt; at+2 < n; at += perMask {
		a := program[at+1].K
		sources = append(sources, netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), bits.LeadingZeros32(^program[at].K)))
		if jump, is := program[at+2].Disassemble().(bpf.Jump); !is || jump.Skip > uint32(n) {
			break
		}
	}
	if len(sources) == 0 || n < portBack {
		return nil, ports, false
	}
	whole := EgressProgram(sources, ports)
	if len(whole) == n {
		return sources, ports, slices.Equal(whole, program)
	}
	mask := program[n-portBack+1].K
	width := bits.TrailingZeros32(mask)
	ports.PSIDLen = bits.OnesCount32(mask)
	ports.PSIDOffset = 16 - width - ports.PSIDLen
	ports.PSID = uint16(program[n-portBack+2].K >> width)
	return sources, ports, ports.PSIDLen > 0 && ports.PSIDOffset >= 0 && slices.Equal(EgressProgram(sources, ports), program)
}

// An assembly is a program whose jumps are to names.
type assembly struct {
	list []bpf.Instruction
	at   map[string]int
	to   map[int]string
}

// add is not inlined, nor is jump: at fifty places they would be 16 KB of the program.
//
//go:noinline
func (p *assembly) add(list ...bpf.Instruction) { p.list = append(p.list, list...) }

func (p *assembly) label(name string) { p.at[name] = len(p.list) }

// jump jumps to a name further down if the condition holds, and continues otherwise.
//
//go:noinline
func (p *assembly) jump(cond bpf.JumpTest, value uint32, to string) {
	p.to[len(p.list)] = to
	p.add(bpf.JumpIf{Cond: cond, Val: value})
}

func (p *assembly) assemble() []bpf.RawInstruction {
	for i, name := range p.to {
		jump := p.list[i].(bpf.JumpIf)
		jump.SkipTrue = uint8(p.at[name] - i - 1)
		p.list[i] = jump
	}
	// Assembling fails only for an offset out of range, and every program here is short.
	raw, err := bpf.Assemble(p.list)
	if err != nil {
		panic(err)
	}
	return raw
}

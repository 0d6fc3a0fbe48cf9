package translator

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
)

// The object is the same for every clang of one version: .ci/run makes it again with that of Debian 12, and compares.
//
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package translator -output-suffix "" -cc clang -strip llvm-strip -target bpfel programs translator.c -- -O2 -mcpu=v3 -Wall -Werror -Wno-parentheses -Wno-bitwise-op-parentheses -Wno-logical-op-parentheses -fno-jump-tables -idirafter /usr/include/x86_64-linux-gnu -idirafter /usr/include/aarch64-linux-gnu

// A Place is where the programs are: interfaces by their index, and the bytes of link header that packets have there.
type Place struct {
	WAN, Tunnel             int
	WANHeader, TunnelHeader int
}

// Programs are loaded, and stay as long as something holds them: these, until they are closed, or a filter.
type Programs struct {
	Out46, In64 *ebpf.Program
	counts      *ebpf.Map
}

// Version tells this object from those of other versions of the program.
func Version() string {
	sum := sha256.Sum256(_ProgramsBytes)
	return hex.EncodeToString(sum[:4])
}

// Load loads the programs with their constants.
func Load(t Translator, p Place) (*Programs, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	spec, err := loadPrograms()
	if err != nil {
		return nil, err
	}
	if err := spec.Variables[programsVarConstants].Set(settingsOf(t, p)); err != nil {
		return nil, err
	}
	var o programsObjects
	if err := spec.LoadAndAssign(&o, nil); err != nil {
		return nil, fmt.Errorf("loading the translator: %w", err)
	}
	return &Programs{o.Out46, o.In64, o.Counts}, nil
}

func (p *Programs) Close() error {
	return errors.Join(p.Out46.Close(), p.In64.Close(), p.counts.Close())
}

// Counts are packets by what became of them, in both directions.
func (p *Programs) Counts() (out, in [Verdicts]uint64, err error) {
	for v := range Verdicts {
		for i, to := range []*uint64{&out[v], &in[v]} {
			var each []uint64 // of the processors
			if err := p.counts.Lookup(uint32(v)+uint32(i)*uint32(Verdicts), &each); err != nil {
				return out, in, err
			}
			for _, n := range each {
				*to += n
			}
		}
	}
	return out, in, nil
}

// settingsOf are the constants as the programs have them: addresses as they are in packets, the rest in the machine's order.
func settingsOf(t Translator, p Place) (s programsSettings) {
	s.Ce.High, s.Ce.Low = halves(t.CE)
	s.Dmr.High, s.Dmr.Low = halves(t.DMR.Addr())
	v4 := t.IPv4.As4()
	s.Ipv4 = binary.NativeEndian.Uint32(v4[:])
	s.Wan, s.Tunnel, s.Mtu = uint32(p.WAN), uint32(p.Tunnel), uint32(t.MTU)
	s.Lowest, s.Mask, s.Value = t.portSet()
	s.DmrBits, s.WanHeader, s.TunnelHeader = uint8(t.DMR.Bits()), uint8(p.WANHeader), uint8(p.TunnelHeader)
	return s
}

func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:])
}

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
func (p *Programs) Counts() (out, in [Verdicts]uint64, err error) { return countsOf(p.counts) }

func countsOf(m *ebpf.Map) (out, in [Verdicts]uint64, err error) {
	for v := range Verdicts {
		for i, to := range []*uint64{&out[v], &in[v]} {
			var each []uint64
			if err := m.Lookup(uint32(v)+uint32(i)*uint32(Verdicts), &each); err != nil {
				return out, in, err
			}
			for _, n := range each {
				*to += n
			}
		}
	}
	return out, in, nil
}

// Live reads the constants and counts of a program of this package, by its id; those of another version of it only where
// they are laid out alike.
func Live(id uint32) (t Translator, p Place, counts [2][Verdicts]uint64, err error) {
	program, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return t, p, counts, err
	}
	defer program.Close()
	info, err := program.Info()
	if err != nil {
		return t, p, counts, err
	}
	ids, _ := info.MapIDs()
	var read, counted bool
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return t, p, counts, err
		}
		defer m.Close()
		switch size := int(m.ValueSize()); {
		case m.Type() == ebpf.Array && size == binary.Size(programsSettings{}):
			var s programsSettings
			if err := m.Lookup(uint32(0), &s); err != nil {
				return t, p, counts, err
			}
			t, p = s.values()
			read = true
		case m.Type() == ebpf.PerCPUArray && m.MaxEntries() == 2*uint32(Verdicts):
			if counts[0], counts[1], err = countsOf(m); err != nil {
				return t, p, counts, err
			}
			counted = true
		}
	}
	if !read || !counted {
		return t, p, counts, errors.New("not of this program")
	}
	return t, p, counts, nil
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
	s.Psid, s.PsidLen, s.PsidOffset = t.PSID, uint8(t.PSIDLen), uint8(t.PSIDOffset)
	return s
}

func (s programsSettings) values() (Translator, Place) {
	return Translator{
		CE: whole(s.Ce.High, s.Ce.Low), IPv4: netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, s.Ipv4))),
		DMR:  netip.PrefixFrom(whole(s.Dmr.High, s.Dmr.Low), int(s.DmrBits)),
		PSID: s.Psid, PSIDLen: int(s.PsidLen), PSIDOffset: int(s.PsidOffset), MTU: int(s.Mtu),
	}, Place{WAN: int(s.Wan), Tunnel: int(s.Tunnel), WANHeader: int(s.WanHeader), TunnelHeader: int(s.TunnelHeader)}
}

func halves(a netip.Addr) (high, low uint64) {
	b := a.As16()
	return binary.NativeEndian.Uint64(b[:]), binary.NativeEndian.Uint64(b[8:])
}

func whole(high, low uint64) netip.Addr {
	b := binary.NativeEndian.AppendUint64(nil, high)
	return netip.AddrFrom16([16]byte(binary.NativeEndian.AppendUint64(b, low)))
}

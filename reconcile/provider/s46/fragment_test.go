package s46

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
)

// split cuts a UDP datagram to the client's port into fragments of at most size bytes.
func split(message []byte, id byte, size int) (all [][]byte) {
	udp := binary.BigEndian.AppendUint16([]byte{2, 35, 2, 34}, uint16(8+len(message)))
	udp = append(append(udp, 0, 0), message...)
	for offset := 0; offset < len(udp); offset += size {
		data := udp[offset:min(offset+size, len(udp))]
		at := uint16(offset)
		if offset+size < len(udp) {
			at |= 1
		}
		b := append([]byte{0x60, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, uint16(8+len(data)))...)
		b = append(append(b, protocolFragment, 64), make([]byte, 32)...)
		b = binary.BigEndian.AppendUint16(append(b, protocolUDP, 0), at)
		all = append(all, append(append(b, 0, 0, 0, id), data...))
	}
	return all
}

// TestFragments: in any order and between others, but never with a part missing or twice.
func TestFragments(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		message := make([]byte, 1+r.IntN(5000))
		for i := range message {
			message[i] = byte(r.Uint32())
		}
		parts := split(message, 1, 8*(1+len(message)/400+r.IntN(100)))
		arriving := slices.Concat(parts, split(bytes.Repeat([]byte{1}, 3000), 2, 1000)[:2])
		r.Shuffle(len(arriving), func(i, j int) { arriving[i], arriving[j] = arriving[j], arriving[i] })
		f, whole := fragments{}, 0
		for _, b := range arriving {
			if got, ok := f.message(b); ok {
				if whole++; !bytes.Equal(got, message) {
					t.Fatalf("seed %d: another message", seed)
				}
			}
		}
		if whole != 1 {
			t.Fatalf("seed %d: %d parts make %d messages", seed, len(parts), whole)
		}
		f = fragments{}
		for _, b := range slices.Concat(parts[:len(parts)-1], parts[:len(parts)-1]) {
			if _, ok := f.message(b); ok {
				t.Fatalf("seed %d: a message without its last part", seed)
			}
		}
	}
}

func FuzzFragments(f *testing.F) {
	for _, b := range split(make([]byte, 100), 1, 64) {
		f.Add(b)
	}
	f.Add(packet(servers, []byte{7, 0, 0, 0}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		parts := fragments{}
		for range mostFragments + 2 {
			if message, ok := parts.message(b); ok {
				request{}.answer(message)
			}
		}
	})
}

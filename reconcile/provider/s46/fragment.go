package s46

import (
	"encoding/binary"
	"slices"
	"sort"
)

// Next headers of IPv6.
const (
	protocolUDP      = 17
	protocolFragment = 44
)

// fragments are those of packets that have not arrived whole, by addresses and identification. A packet socket gets them
// as they come, and a long list of rules does not fit into one packet.
type fragments map[string][]fragment

type fragment struct {
	offset int
	more   bool
	data   []byte
}

// mostFragments bounds what one packet may take: 64 KiB are 54 fragments at the least MTU.
const mostFragments = 64

// message is the message to the client's port in the packet that b is, or completes. UDP's checksum is not looked at: a
// packet from the same machine has none yet when a packet socket gets it.
func (f fragments) message(b []byte) ([]byte, bool) {
	if len(b) < 48 || b[0]>>4 != 6 || len(b) < 40+int(binary.BigEndian.Uint16(b[4:])) {
		return nil, false
	}
	next, data := b[6], b[40:40+int(binary.BigEndian.Uint16(b[4:]))]
	if next == protocolFragment && len(data) >= 8 {
		next, data = data[0], f.whole(string(b[8:40])+string(data[4:8]), data)
	}
	if next != protocolUDP || len(data) < 8 || binary.BigEndian.Uint16(data[2:]) != clientPort {
		return nil, false
	}
	size := int(binary.BigEndian.Uint16(data[4:]))
	if size < 8 || size > len(data) {
		return nil, false
	}
	return data[8:size], true
}

// whole adds a fragment to those of its packet, and returns what they make if it is the last one that was missing.
// Overlapping ones never make a packet (RFC 5722).
func (f fragments) whole(packet string, b []byte) (all []byte) {
	at := binary.BigEndian.Uint16(b[2:])
	f[packet] = append(f[packet], fragment{int(at &^ 7), at&1 != 0, slices.Clone(b[8:])})
	parts := f[packet]
	if len(parts) > mostFragments {
		delete(f, packet)
		return nil
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].offset < parts[j].offset })
	for i, part := range parts {
		if part.offset != len(all) || part.more != (i < len(parts)-1) {
			return nil
		}
		all = append(all, part.data...)
	}
	return all
}

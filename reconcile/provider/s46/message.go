package s46

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Types of messages.
const (
	informationRequest = 11
	reply              = 7
)

// Ports of DHCPv6, and where its servers and relays are reached.
const (
	clientPort = 546
	serverPort = 547
)

var servers = netip.MustParseAddr("ff02::1:2")

// asked are the options that a request names: those of softwires, and two that it must name (RFC 8415 section 18.2.6). No
// other: there is a provider whose server takes IPv6 away from clients that ask for more than it knows.
var asked = []uint16{aftrName, containerMAPE, containerMAPT, containerLW, s46Priority, refreshTime, infMaxRT}

// A request is an INFORMATION-REQUEST.
type request struct {
	transaction [3]byte
	duid        []byte
}

// message is the request after a time in 1/100 s since the first one.
func (r request) message(elapsed uint16) []byte {
	b := append([]byte{informationRequest}, r.transaction[:]...)
	b = add(b, clientID, r.duid)
	b = add(b, elapsedTime, binary.BigEndian.AppendUint16(nil, elapsed))
	var codes []byte
	for _, code := range asked {
		codes = binary.BigEndian.AppendUint16(codes, code)
	}
	return add(b, optionRequest, codes)
}

// errOther is the error of a message that is not an answer to this request: networkd's, or one that a client must discard
// (RFC 8415 section 16.10).
var errOther = errors.New("not the answer to this request")

// A refusal is the status code of a server, other than success.
type refusal struct {
	code uint16
	text string // of the server
}

func (r refusal) Error() string {
	return fmt.Sprintf("the server answers with status %d: %.120q", r.code, r.text)
}

// answer reads a message that arrived at the client's port.
func (r request) answer(b []byte) (*Reply, error) {
	if len(b) < 4 || b[0] != reply || !bytes.Equal(b[1:4], r.transaction[:]) {
		return nil, errOther
	}
	server, mine := false, false
	var refused error
	for o, err := range options(b[4:]) {
		switch {
		case err != nil:
			return nil, err
		case o.code == serverID:
			server = true
		case o.code == clientID:
			mine = bytes.Equal(o.data, r.duid)
		case o.code == statusCode && len(o.data) >= 2 && binary.BigEndian.Uint16(o.data) != 0:
			refused = refusal{binary.BigEndian.Uint16(o.data), string(o.data[2:])}
		}
	}
	switch {
	case !server || !mine:
		return nil, errOther
	case refused != nil:
		return nil, refused
	}
	return ParseReply(b[4:])
}

// packet is a message in a UDP datagram to the servers of the link, in an IPv6 packet.
func packet(source netip.Addr, message []byte) []byte {
	length := uint16(8 + len(message))
	udp := binary.BigEndian.AppendUint16(nil, clientPort)
	udp = binary.BigEndian.AppendUint16(udp, serverPort)
	udp = binary.BigEndian.AppendUint16(udp, length)
	udp = append(append(udp, 0, 0), message...)
	addresses := slices.Concat(source.WithZone("").AsSlice(), servers.AsSlice())
	binary.BigEndian.PutUint16(udp[6:], checksum(uint32(length)+17, addresses, udp))
	header := append([]byte{0x60, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, length)...)
	return slices.Concat(append(header, 17, 1), addresses, udp)
}

// checksum is UDP's: 0 stands for none.
func checksum(sum uint32, parts ...[]byte) uint16 {
	for _, b := range parts {
		for i, v := range b {
			sum += uint32(v) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum == 0xffff {
		return 0xffff
	}
	return ^uint16(sum)
}

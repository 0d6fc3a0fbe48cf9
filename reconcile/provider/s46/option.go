// Package s46 is a client of the DHCPv6 options by which a line gives its softwires (RFC 6334, RFC 7598, RFC 8026).
//
// It asks with an INFORMATION-REQUEST of its own, which has neither addresses nor prefixes in it, through a packet socket:
// UDP port 546 belongs to networkd, and servers answer to no other.
package s46

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net/netip"
)

// Options of DHCPv6, by their codes.
const (
	clientID      = 1
	serverID      = 2
	optionRequest = 6
	elapsedTime   = 8
	statusCode    = 13
	refreshTime   = 32
	aftrName      = 64
	infMaxRT      = 83
	s46Rule       = 89
	s46BR         = 90
	s46DMR        = 91
	s46Bind       = 92
	s46PortParams = 93
	containerMAPE = 94
	containerMAPT = 95
	containerLW   = 96
	s46Priority   = 111
)

// An option is a code and its data, which is part of the message.
type option struct {
	code uint16
	data []byte
}

var errTruncated = errors.New("an option is longer than what it is in")

// options yields the options of a message or of a container. The error, with the last of them, is that one is cut off.
func options(b []byte) iter.Seq2[option, error] {
	return func(yield func(option, error) bool) {
		for len(b) > 0 {
			if len(b) < 4 || int(binary.BigEndian.Uint16(b[2:])) > len(b)-4 {
				yield(option{}, errTruncated)
				return
			}
			o := option{binary.BigEndian.Uint16(b), b[4:][:binary.BigEndian.Uint16(b[2:])]}
			if b = b[4+len(o.data):]; !yield(o, nil) {
				return
			}
		}
	}
}

// add appends an option.
func add(b []byte, code uint16, data []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// prefixAt reads a length in bits, at most 128, and the bytes that a prefix of it takes, and returns what is behind. Bits
// after the length are ignored (RFC 7598 section 4).
func prefixAt(b []byte) (p netip.Prefix, rest []byte, err error) {
	if len(b) < 1 || b[0] > 128 {
		return p, nil, errors.New("the length of an IPv6 prefix is missing, or is more than 128")
	}
	length, size := int(b[0]), (int(b[0])+7)/8
	if len(b) < 1+size {
		return p, nil, fmt.Errorf("an IPv6 prefix of %d bits is cut off after %d bytes", length, len(b)-1)
	}
	var a [16]byte
	copy(a[:], b[1:1+size])
	return netip.PrefixFrom(netip.AddrFrom16(a), length).Masked(), b[1+size:], nil
}

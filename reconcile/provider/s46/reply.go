package s46

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"mape-netplan/reconcile/provider/offer"
)

// A Reply is what a server said of the line's softwires. Its text is the options in hexadecimal, as they came, and reading
// it checks all of it again.
type Reply struct {
	// Mechanisms are what the line offers, the best first.
	Mechanisms []offer.Mechanism
	// Ignored is what of the options is wrong.
	Ignored []string

	wire    []byte
	refresh time.Duration
}

// kept are the options that a reply is made of.
var kept = []uint16{refreshTime, aftrName, containerMAPE, containerMAPT, containerLW, s46Priority}

// Bounds of the lifetime of a reply (RFC 8415 section 7.6).
const (
	defaultRefresh = 86400 * time.Second
	leastRefresh   = 600 * time.Second
)

// ParseReply reads the options of a message.
func ParseReply(b []byte) (*Reply, error) {
	r := &Reply{refresh: defaultRefresh}
	var all []option
	for o, err := range options(b) {
		if err != nil {
			return nil, err
		}
		if slices.Contains(kept, o.code) {
			r.wire, all = add(r.wire, o.code, o.data), append(all, o)
		}
	}
	if i := slices.IndexFunc(all, func(o option) bool { return o.code == refreshTime && len(o.data) == 4 }); i >= 0 {
		r.refresh = max(time.Duration(binary.BigEndian.Uint32(all[i].data))*time.Second, leastRefresh)
	}
	r.Mechanisms, r.Ignored = decode(all)
	return r, nil
}

// TTL is how long the reply is valid.
func (r *Reply) TTL() time.Duration { return r.refresh }

// MarshalText is the inverse of [Reply.UnmarshalText].
func (r *Reply) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, r.wire), nil }

// UnmarshalText reads the text of a reply.
func (r *Reply) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil {
		return errors.New("DHCPv6 options must be hexadecimal digits")
	}
	read, err := ParseReply(b)
	if err == nil {
		*r = *read
	}
	return err
}

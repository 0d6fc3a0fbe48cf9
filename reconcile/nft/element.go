package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"sort"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// An Element is a key and, in a map, its value, in network byte order. Of a range, Key is the first and Last the last.
type Element struct {
	Key, Last, Value []byte

	Foreign string
	end     bool // Key is the first behind a range
}

// ToHost is an element of a HostMap.
func ToHost(first, last uint16, to netip.Addr) Element {
	return Element{Key: Port(first), Last: Port(last), Value: to.AsSlice()}
}

// ToEndpoint is an element of an EndpointMap.
func ToEndpoint(port uint16, to netip.AddrPort) Element {
	// A part of a value takes whole registers, of four bytes each.
	return Element{Key: Port(port), Value: append(append(to.Addr().AsSlice(), Port(to.Port())...), 0, 0)}
}

// Endpoint is the host of an element of a HostMap or an EndpointMap and, in the latter, the port.
func (e Element) Endpoint() (to netip.AddrPort, ok bool) {
	if len(e.Value) != 4 && len(e.Value) != 8 {
		return to, false
	}
	port := uint16(0)
	if len(e.Value) == 8 {
		port = toPort(e.Value[4:])
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(e.Value)), port), true
}

// halves are the elements by which the kernel knows those of a set of ranges: the first value of each, and the one behind
// its last, unless that is the highest there is.
func halves(ranges []Element) (all []nftables.SetElement) {
	for _, e := range ranges {
		all = append(all, nftables.SetElement{Key: e.Key, Val: e.Value})
		if next := plus(e.Last, 1); !zero(next) {
			all = append(all, nftables.SetElement{Key: next, IntervalEnd: true})
		}
	}
	return all
}

// joined is the inverse of halves.
func joined(halves []Element) []Element {
	sort.Slice(halves, func(i, j int) bool {
		by := bytes.Compare(halves[i].Key, halves[j].Key)
		return by < 0 || by == 0 && halves[i].end && !halves[j].end
	})
	all := halves[:0]
	for _, e := range halves {
		switch n := len(all); {
		case !e.end:
			e.Last = slices.Repeat([]byte{0xff}, len(e.Key))
			all = append(all, e)
		case n > 0:
			all[n-1].Last = plus(e.Key, -1)
		}
	}
	return all
}

// plus adds to a number in network byte order, in as many bytes.
func plus(b []byte, n int) []byte {
	sum := binary.BigEndian.AppendUint64(nil, nlmsg.Value(b).Number()+uint64(n))
	return sum[max(0, len(sum)-len(b)):]
}

// run returns how many elements from i on go up by one, ports to ports: they share a line.
func (s Set) run(i int) int {
	n := 1
	for ; i+n < len(s.Elements) && !s.Ranges; n++ {
		e, next := s.Elements[i+n-1], s.Elements[i+n]
		if e.Foreign+next.Foreign != "" || !follows(e.Key, next.Key) || !follows(e.Value, next.Value) {
			break
		}
	}
	return n
}

// follows reports whether b is the port after a, of the same host where it has one.
func follows(a, b []byte) bool {
	n := len(a) // of a port, or of a host, a port and two bytes to fill its register
	switch {
	case n != len(b) || n != 2 && n != 8:
		return false
	case n == 8:
		return bytes.Equal(a[:4], b[:4]) && follows(a[4:6], b[4:6])
	}
	return int(toPort(b)) == int(toPort(a))+1
}

func (s Set) line(first, last Element) string {
	text := func(t nftables.SetDatatype, first, last []byte) string {
		if bytes.Equal(first, last) {
			return valueText(t, first)
		}
		if t == nftables.TypeIPAddr && len(first) == 4 && len(last) == 4 {
			low, high := binary.BigEndian.Uint32(first), binary.BigEndian.Uint32(last)
			if n := bits.LeadingZeros32(low ^ high); low|^uint32(0)>>n == high && low<<n == 0 {
				return fmt.Sprintf("%s/%d", addressText(first), n)
			}
		}
		return valueText(t, first) + "-" + valueText(t, last)
	}
	end := last.Key
	if s.Ranges {
		end = last.Last
	}
	line := text(s.Key, first.Key, end)
	if first.Value != nil {
		line += " : " + text(s.Value, first.Value, last.Value)
	}
	if first.Foreign != "" {
		line += " " + first.Foreign
	}
	return line + ","
}

// valueText renders a value of a type that has as many bytes; others are shown as such.
func valueText(t nftables.SetDatatype, b []byte) string {
	switch {
	case len(b) != int(t.Bytes):
	case t == nftables.TypeInetService:
		return portText(b)
	case t == nftables.TypeIPAddr:
		return addressText(b)
	case t == endpoint:
		return addressText(b[:4]) + " . " + portText(b[4:6])
	}
	return hex(b)
}

// decodeElement decodes an element.
func decodeElement(b nlmsg.Value) (e Element) {
	for kind, value := range b.Attributes() {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			e.Key = e.value(value)
		case unix.NFTA_SET_ELEM_DATA:
			e.Value = e.value(value)
		case unix.NFTA_SET_ELEM_FLAGS:
			if e.end = value.Number() == unix.NFT_SET_ELEM_INTERVAL_END; !e.end && !zero(value) {
				e.foreign("flags %s", hex(value))
			}
		case unix.NFTA_SET_ELEM_TIMEOUT:
			e.foreign("timeout %s", time.Duration(value.Number())*time.Millisecond)
		case unix.NFTA_SET_ELEM_OBJREF:
			e.foreign("object %s", value.Text())
		case unix.NFTA_SET_ELEM_EXPR, nftables.NFTA_SET_ELEM_KEY_END, nftaSetElemExpressions:
			e.foreign("attribute %d %s", kind, hex(value))
		}
	}
	return e
}

// value decodes a key or a value, which is bytes or a verdict.
func (e *Element) value(b nlmsg.Value) []byte {
	for kind, value := range b.Attributes() {
		if kind == unix.NFTA_DATA_VALUE {
			return value
		}
		e.foreign("verdict %s", hex(value))
		break
	}
	return nil
}

func (e *Element) foreign(format string, args ...any) {
	if e.Foreign == "" {
		e.Foreign = "#"
	}
	e.Foreign += " " + fmt.Sprintf(format, args...)
}

// nftaSetElemExpressions is NFTA_SET_ELEM_EXPRESSIONS, of which the library has another number than the kernel.
const nftaSetElemExpressions = 11

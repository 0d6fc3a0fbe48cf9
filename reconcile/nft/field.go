package nft

import (
	"fmt"
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A Field is something of a packet that a rule can compare, look up or, in a header, set.
type Field struct {
	Name string

	proto byte // the transport protocol that a rule must have matched for the name to be right; 0: any
	load  expr.Any
	text  func([]byte) string
	csum  uint32 // where in the transport header the checksum is that covers the field; 0: nowhere
}

// What rules speak of. Names are nft's.
var (
	IIfName = Field{Name: "iifname", load: meta(expr.MetaKeyIIFNAME), text: ifname}
	OIfName = Field{Name: "oifname", load: meta(expr.MetaKeyOIFNAME), text: ifname}
	// IIfType and OIfType are the kernel's ARPHRD numbers, two bytes in its order.
	IIfType = Field{Name: "meta iiftype", load: meta(expr.MetaKeyIIFTYPE), text: linkType}
	OIfType = Field{Name: "meta oiftype", load: meta(expr.MetaKeyOIFTYPE), text: linkType}
	L4Proto = Field{Name: "meta l4proto", load: meta(expr.MetaKeyL4PROTO), text: names(protocols)}
	// RouteOIfName is where the packet would leave, before that is decided.
	RouteOIfName = Field{Name: "fib daddr oifname", load: &expr.Fib{Register: reg, ResultOIFNAME: true, FlagDADDR: true}, text: ifname}

	CtStatus        = Field{Name: "ct status", load: &expr.Ct{Key: expr.CtKeySTATUS, Register: reg}, text: flags(binaryutil.NativeEndian, ctStatuses)}
	CtOriginalDaddr = Field{Name: "ct original ip daddr", load: &expr.Ct{Key: expr.CtKeyDSTIP, Register: reg}, text: addressText}
	CtState         = Field{Name: "ct state", load: &expr.Ct{Key: expr.CtKeySTATE, Register: reg}, text: flags(binaryutil.NativeEndian, ctStates)}

	IPSaddr    = Field{Name: "ip saddr", load: payload(expr.PayloadBaseNetworkHeader, 12, 4), text: addressText}
	IPDaddr    = Field{Name: "ip daddr", load: payload(expr.PayloadBaseNetworkHeader, 16, 4), text: addressText}
	IPProtocol = Field{Name: "ip protocol", load: payload(expr.PayloadBaseNetworkHeader, 9, 1), text: names(protocols)}

	TCPSport = Field{Name: "tcp sport", proto: unix.IPPROTO_TCP, load: transport(0, 2), text: portText, csum: 16}
	TCPDport = Field{Name: "tcp dport", proto: unix.IPPROTO_TCP, load: transport(2, 2), text: portText, csum: 16}
	TCPFlags = Field{Name: "tcp flags", proto: unix.IPPROTO_TCP, load: transport(13, 1), text: flags(nil, tcpFlags), csum: 16}

	UDPSport    = Field{Name: "udp sport", proto: unix.IPPROTO_UDP, load: transport(0, 2), text: portText, csum: 6}
	UDPDport    = Field{Name: "udp dport", proto: unix.IPPROTO_UDP, load: transport(2, 2), text: portText, csum: 6}
	UDPChecksum = Field{Name: "udp checksum", proto: unix.IPPROTO_UDP, load: transport(6, 2), text: portText}

	ICMPType = Field{Name: "icmp type", proto: unix.IPPROTO_ICMP, load: transport(0, 1), text: names(icmpTypes), csum: 2}
	ICMPID   = Field{Name: "icmp id", proto: unix.IPPROTO_ICMP, load: transport(4, 2), text: portText, csum: 2}

	// Of TCP and UDP alike.
	THSport = Field{Name: "th sport", load: transport(0, 2), text: portText}
	THDport = Field{Name: "th dport", load: transport(2, 2), text: portText}

	fields = []Field{IIfName, OIfName, IIfType, OIfType, L4Proto, CtState, CtStatus, CtOriginalDaddr, RouteOIfName, IPSaddr, IPDaddr, IPProtocol, TCPSport, TCPDport, TCPFlags, UDPSport,
		UDPDport, UDPChecksum, ICMPType, ICMPID, THSport, THDport}
)

// Raw is a field by its place behind the start of the transport header, in bytes, with the checksum that covers it.
func Raw(offset, length, checksum uint32) Field {
	f := fieldOf(transport(offset, length), 0)
	f.csum = checksum
	return f
}

// reg is the register that everything passes through; snat alone needs more.
const reg = unix.NFT_REG_1

func meta(k expr.MetaKey) expr.Any { return &expr.Meta{Key: k, Register: reg} }

func payload(base expr.PayloadBase, offset, length uint32) expr.Any {
	return &expr.Payload{DestRegister: reg, Base: base, Offset: offset, Len: length}
}

func transport(offset, length uint32) expr.Any {
	return payload(expr.PayloadBaseTransportHeader, offset, length)
}

// fieldOf names what an expression loads, in a rule that has matched the transport protocol proto.
func fieldOf(load expr.Any, proto byte) Field {
	key := loadKey(load)
	for _, f := range fields {
		if (f.proto == 0 || f.proto == proto) && loadKey(f.load) == key {
			return f
		}
	}
	return Field{Name: key, load: load, text: hex}
}

var bases = map[expr.PayloadBase]string{
	expr.PayloadBaseLLHeader: "ll", expr.PayloadBaseNetworkHeader: "nh", expr.PayloadBaseTransportHeader: "th",
}

// loadKey is the raw name of what an expression loads: "@th,240,16" is 16 bits behind bit 240 of the transport header.
func loadKey(load expr.Any) string {
	switch e := load.(type) {
	case *expr.Meta:
		return fmt.Sprintf("meta %d", e.Key)
	case *expr.Ct:
		return strings.TrimSuffix(fmt.Sprintf("ct %d %d", e.Key, e.Direction), " 0")
	case *expr.Fib:
		return fmt.Sprintf("fib %v", *e)
	case *expr.Payload:
		if base, ok := bases[e.Base]; ok {
			return fmt.Sprintf("@%s,%d,%d", base, e.Offset*8, e.Len*8)
		}
		return fmt.Sprintf("@%d,%d,%d", e.Base, e.Offset*8, e.Len*8)
	}
	return fmt.Sprintf("%T", load)
}

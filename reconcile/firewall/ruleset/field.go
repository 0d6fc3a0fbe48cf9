package ruleset

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nlmsg"
)

// Fields that can be decided for a known packet. Numbers are in network byte order.
const (
	FieldIIfName  = "iifname"
	FieldOIfName  = "oifname"
	FieldIIf      = "iif"
	FieldOIf      = "oif"
	FieldNFProto  = "nfproto"
	FieldL4Proto  = "l4proto"
	FieldState    = "ct state"
	FieldStatus   = "ct status"
	FieldSaddr    = "ip saddr"
	FieldDaddr    = "ip daddr"
	FieldSaddr6   = "ip6 saddr"
	FieldDaddr6   = "ip6 daddr"
	FieldSport    = "sport"
	FieldDport    = "dport"
	FieldDestType = "fib daddr type"
	FieldTCPFlags = "tcp flags"
	FieldICMPType = "icmp type"
	FieldHopLimit = "hop limit"
	FieldMark     = "meta mark"
	FieldCtMark   = "ct mark"
	FieldIPsec    = "meta ipsec"
	// FieldPacketType is 0 of a packet to this machine alone.
	FieldPacketType = "meta pkttype"
	// FieldBack is the interface of the route back to the source; 0 if there is none.
	FieldBack = "fib saddr oif"
)

// OfSome reports whether a test that cannot be decided is passed by few packets: those of one host, such as one that is
// banned, or with an extension header or option.
func OfSome(field string) bool {
	switch field {
	case FieldSaddr, FieldDaddr, FieldSaddr6, FieldDaddr6, FieldSport, FieldDport, "ether", "match set", "match iprange", "match mac", "match geoip", "match string", "match physdev", "match helper",
		"exthdr", "match rt", "match frag", "match hbh", "match dst", "match ipv6header", "match ah", "match esp":
		return true
	}
	return false
}

// UsuallyZero reports whether a field of a usual packet is 0: no mark, no IPsec, sent to this machine alone.
func UsuallyZero(field string) bool {
	return field == FieldMark || field == FieldCtMark || field == FieldIPsec || field == FieldPacketType
}

var fieldSizes = map[string]int{
	FieldIIfName: 16, FieldOIfName: 16, FieldIIf: 4, FieldOIf: 4, FieldNFProto: 1, FieldL4Proto: 1, FieldState: 4, FieldStatus: 4,
	FieldSaddr: 4, FieldDaddr: 4, FieldSaddr6: 16, FieldDaddr6: 16, FieldDestType: 4,
	FieldSport: 2, FieldDport: 2, FieldTCPFlags: 1, FieldICMPType: 1, FieldHopLimit: 1,
	FieldMark: 4, FieldCtMark: 4, FieldIPsec: 1, FieldPacketType: 1, FieldBack: 1,
}

func metaField(key uint64) string {
	const secpath = 25 // NFT_META_SECPATH
	switch expr.MetaKey(key) {
	case expr.MetaKeyIIFNAME:
		return FieldIIfName
	case expr.MetaKeyOIFNAME:
		return FieldOIfName
	case expr.MetaKeyIIF:
		return FieldIIf
	case expr.MetaKeyOIF:
		return FieldOIf
	case expr.MetaKeyNFPROTO:
		return FieldNFProto
	case expr.MetaKeyL4PROTO:
		return FieldL4Proto
	case expr.MetaKeyMARK:
		return FieldMark
	case expr.MetaKeyPKTTYPE:
		return FieldPacketType
	case secpath:
		return FieldIPsec
	}
	return fmt.Sprintf("meta %d", key)
}

func ctField(key uint64) string {
	switch expr.CtKey(key) {
	case expr.CtKeySTATE:
		return FieldState
	case expr.CtKeySTATUS:
		return FieldStatus
	case expr.CtKeyMARK:
		return FieldCtMark
	}
	return fmt.Sprintf("ct %d", key)
}

// payload names the parts of a header. iptables loads no more of an address than the prefix has, and nft two addresses
// at once that it compares both.
func (d *tracer) payload(a nlmsg.Value) []string {
	base, offset, length := a.Get(2).Number(), a.Get(3).Number(), a.Get(4).Number()
	if expr.PayloadBase(base) != expr.PayloadBaseNetworkHeader {
		return otherHeader(base, offset, length)
	}
	type place struct{ offset, length uint64 }
	p := place{offset, length}
	if d.chain.Family == "ip6" || d.is6() { // nft writes the family of an address in a table inet.
		switch {
		case p == place{6, 1}:
			return []string{FieldL4Proto}
		case p == place{7, 1}:
			return []string{FieldHopLimit}
		case p == place{8, 32}:
			return []string{FieldSaddr6, FieldDaddr6}
		case offset == 8 && length <= 16:
			return []string{FieldSaddr6}
		case offset == 24 && length <= 16:
			return []string{FieldDaddr6}
		}
		return []string{"header"}
	}
	switch {
	case p == place{9, 1}:
		return []string{FieldL4Proto}
	case p == place{12, 8}:
		return []string{FieldSaddr, FieldDaddr}
	case offset == 12 && length <= 4:
		return []string{FieldSaddr}
	case offset == 16 && length <= 4:
		return []string{FieldDaddr}
	}
	return []string{"header"}
}

// otherHeader names the ports, and for a reader of the rule the link layer.
func otherHeader(base, offset, length uint64) []string {
	if expr.PayloadBase(base) == expr.PayloadBaseLLHeader {
		return []string{"ether"}
	}
	if expr.PayloadBase(base) == expr.PayloadBaseTransportHeader {
		switch [2]uint64{offset, length} {
		case [2]uint64{0, 2}:
			return []string{FieldSport}
		case [2]uint64{2, 2}:
			return []string{FieldDport}
		case [2]uint64{0, 4}:
			return []string{FieldSport, FieldDport}
		case [2]uint64{0, 1}:
			return []string{FieldICMPType}
		case [2]uint64{13, 1}:
			return []string{FieldTCPFlags}
		}
	}
	return []string{"header"}
}

// is6 reports whether the rule has matched IPv6.
func (d *tracer) is6() bool {
	return slices.ContainsFunc(d.steps, func(s Step) bool {
		return slices.Equal(s.Fields, []string{FieldNFProto}) && len(s.Any) == 1 && !s.Not && s.Any[0].Intervals[0].To[0] == unix.NFPROTO_IPV6
	})
}

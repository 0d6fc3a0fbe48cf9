package ruleset

import (
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
)

// A survey is one reading of the foreign tables.
type survey struct {
	Ruleset
	nft.Exchange
	sets nft.Exchange // for questions about sets, between the rules of a chain
	own  string
	want func(Chain) bool

	asks int // for elements of sets
}

var families = map[uint8]string{unix.NFPROTO_IPV4: "ip", unix.NFPROTO_IPV6: "ip6", unix.NFPROTO_INET: "inet"}

func familyNumber(name string) uint8 {
	for n, f := range families {
		if f == name {
			return n
		}
	}
	return unix.NFPROTO_UNSPEC
}

package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Name is what the line's resolvers said last of the name of a far end (AFTR, lwAFTR).
type Name struct {
	// Address is the one in use, which stays while it is in the answers; invalid while none is known.
	Address netip.Addr `json:"address,omitzero"`
	// Server is the resolver that gave the last answer with an address, Until is when that expires.
	Server netip.AddrPort `json:"server,omitzero"`
	Until  time.Time      `json:"until,omitzero"`
	// Gone: the next answer replaces Address if it is without it.
	Gone bool `json:"gone,omitempty"`
	// Problem is why the last question got no address; "" if it did. Absent: the resolvers have none. Failures counts such
	// questions in a row.
	Problem  string `json:"problem,omitempty"`
	Absent   bool   `json:"absent,omitempty"`
	Failures int    `json:"failures,omitempty"`
	// Asked is when the line was asked last, Next is when to ask it again.
	Asked time.Time `json:"asked"`
	Next  time.Time `json:"next"`
	// Prefixes are those that the line had then: its resolvers may be others with another prefix.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`
}

// An Addresses is the answer of a resolver: at least one address, and how long it may be kept.
type Addresses struct {
	All    []netip.Addr
	Server netip.AddrPort
	TTL    time.Duration
}

const (
	// leastAsked is the shortest time between two questions for a name that is known, mostAsked the longest.
	leastAsked, mostAsked = 5 * time.Minute, 24 * time.Hour
	// firstAgain is the time between the first two questions for a name that is not: the line's resolver may come a moment
	// later than its address. It doubles up to mostAgain.
	firstAgain, mostAgain = 2 * time.Second, 30 * time.Second
)

// ErrAbsent is wrapped by the error of a name that does not exist or has no IPv6 address, as every resolver says.
var ErrAbsent = errors.New("no IPv6 address")

// After is the name after a question: with the answer or, if that is not nil, with the failure, which never takes the
// address away. An address that the answers do not have any more is replaced at the second one, because a resolver may
// give some of the addresses in turn, or at once where the tunnel does not work with it (silent) or the line is another.
func (n Name) After(answer Addresses, failure error, silent bool, prefixes []netip.Prefix, now time.Time) Name {
	moves := silent || !slices.Equal(prefixes, n.Prefixes)
	n.Asked, n.Prefixes = now, prefixes
	if failure != nil {
		n.Problem, n.Absent, n.Gone = failure.Error(), errors.Is(failure, ErrAbsent), n.Gone || moves
		n.Next = now.Add(min(firstAgain<<min(n.Failures, 8), mostAgain))
		if n.Failures++; n.Address.IsValid() {
			n.Next = now.Add(leastAsked)
		}
		return n
	}
	n.Problem, n.Absent, n.Failures, n.Server, n.Until = "", false, 0, answer.Server, now.Add(answer.TTL)
	n.Next = now.Add(min(max(answer.TTL, leastAsked), mostAsked))
	switch {
	case slices.Contains(answer.All, n.Address):
		n.Gone = false
	case !n.Address.IsValid() || n.Gone || moves:
		n.Address, n.Gone = answer.All[0], false
	default:
		n.Gone, n.Next = true, now.Add(leastAsked)
	}
	return n
}

// Trouble is why the line's resolvers do not give the address any more; "" while they do, or after a single failure.
func (n Name) Trouble() string {
	if n.Failures < 2 {
		return ""
	}
	return n.Problem
}

// Names are those of far ends as [Fold] writes them.
type Names map[string]Name

// Fold is a name of DNS in lower case, without the dot at its end.
func Fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// Of returns the address of a name. The error is why none is known yet.
func (all Names) Of(name string) (netip.Addr, error) {
	n, asked := all[Fold(name)]
	switch {
	case n.Address.IsValid():
		return n.Address, nil
	case asked:
		return netip.Addr{}, errors.New(n.Problem)
	}
	return netip.Addr{}, fmt.Errorf("the line's resolvers have not been asked for %s yet: apply, install or watch asks them", name)
}

// Latest is for each name what this process or another one knows, whichever asked later.
func (all Names) Latest(kept Names) Names {
	latest := Names{}
	for _, from := range []Names{kept, all} {
		for name, n := range from {
			if known, ok := latest[name]; !ok || !known.Asked.After(n.Asked) {
				latest[name] = n
			}
		}
	}
	return latest
}

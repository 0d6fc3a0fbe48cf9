package discovery_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"mape-netplan/reconcile/discovery"
)

// TestNameAfter goes through what resolvers can say of a name one after another.
func TestNameAfter(t *testing.T) {
	t.Parallel()
	at := func(p string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(p)} }
	home, away := at("2001:db8:1::/64"), at("2001:db8:2::/64")
	now := time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	var n discovery.Name
	for i, step := range []struct {
		answer  string // addresses of 2001:db8::/64 by their last digit; "" is a failure
		ttl     time.Duration
		silent  bool
		line    []netip.Prefix
		want    string // the address by its last digit; "" for none
		wait    time.Duration
		trouble bool
	}{
		{"", 0, false, home, "", 2 * time.Second, false},
		{"", 0, false, home, "", 4 * time.Second, true},
		{"ab", time.Hour, false, home, "a", time.Hour, false},
		{"ba", time.Second, false, home, "a", 5 * time.Minute, false}, // in another order
		{"ba", time.Hour, true, away, "a", time.Hour, false},          // wherever it is asked, and why ever
		{"", 0, false, away, "a", 5 * time.Minute, false},
		{"", 0, false, away, "a", 5 * time.Minute, true},
		{"", 0, true, home, "a", 5 * time.Minute, true},
		{"a", time.Hour, false, home, "a", time.Hour, false},
		{"bc", time.Hour, false, home, "a", 5 * time.Minute, false}, // gone, or not in its turn
		{"a", time.Hour, false, home, "a", time.Hour, false},
		{"bc", time.Hour, false, home, "a", 5 * time.Minute, false},
		{"", 0, false, home, "a", 5 * time.Minute, false}, // says nothing of it
		{"cb", 365 * 24 * time.Hour, false, home, "c", 24 * time.Hour, false},
		{"ab", time.Hour, true, home, "a", time.Hour, false}, // the far end is silent
		{"b", time.Hour, false, away, "b", time.Hour, false}, // the line is another
		{"", 0, false, home, "b", 5 * time.Minute, false},    // its resolvers come later
		{"a", time.Hour, false, home, "a", time.Hour, false},
	} {
		var answer discovery.Addresses
		var failure error
		for _, c := range step.answer {
			answer.All = append(answer.All, netip.MustParseAddr("2001:db8::"+string(c)))
		}
		answer.TTL = step.ttl
		if step.answer == "" {
			failure = errors.New("no answer")
		}
		n = n.After(answer, failure, step.silent, step.line, now)
		got := ""
		if n.Address.IsValid() {
			got = n.Address.String()[len("2001:db8::"):]
		}
		if wait := n.Next.Sub(now); got != step.want || wait != step.wait || (n.Trouble() != "") != step.trouble {
			t.Errorf("step %d: %q after %v, trouble %q; want %q after %v", i, got, wait, n.Trouble(), step.want, step.wait)
		}
		now = n.Next
	}
}

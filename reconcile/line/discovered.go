package line

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// discovered computes the mapping of a prefix by the rules that the line gave.
func discovered(c *schema.Config, f facts.Facts, prefix netip.Prefix) (mapping, error) {
	d := f.Discovered
	switch {
	case d == nil:
		return mapping{}, NotYet{errors.New("the line has not been asked for its rules yet (HB46PP): apply, install or watch asks it")}
	case d.Check() != nil:
		return mapping{}, NotYet{fmt.Errorf("what the line said of its rules (HB46PP) cannot be used: %w", d.Check())}
	case d.Withdrawn && (c.Provider == discovery.Discover || d.Lost):
		return mapping{}, discovery.Withdrawn{Why: errors.New(d.Problem)}
	case d.Offers():
		return byReply(c, d, prefix)
	case d.Problem == "" && d.Unstored:
		return mapping{}, NotYet{errors.New("the provider forbids keeping its rules (Cache-Control: no-store): only apply and watch, which ask, know them")}
	}
	return mapping{}, NotYet{errors.New(d.Problem)}
}

func byReply(c *schema.Config, d *discovery.Discovery, prefix netip.Prefix) (mapping, error) {
	m := d.Reply.MAPE
	sw, err := softwire.Compute(m.Softwire(), prefix, interfaceID(c, m.InterfaceID()))
	if err != nil {
		return mapping{}, fmt.Errorf("of the rules that %s gave: %w", d.Reply.Name(), err)
	}
	if m.Mesh {
		sw.Warnings = append(sw.Warnings, softwire.NewWarning(softwire.Mesh, d.Reply.Name()+" has its customers send to each other directly (mesh), which is not supported: what comes from them that way is dropped"))
	}
	return mapping{discovery.Discover, d.Reply.Name(), sw}, nil
}

// DiscoveryPause is the shortest time between two questions to a line whose addresses keep changing.
const DiscoveryPause = 10 * time.Second

// NextDiscovery is when the line is to be asked for its rules: the zero time is
// never, a time that is not after now is at once. The line is asked when its last
// answer expires and when the WAN's addresses change (v6mig-prov 1.1, section
// 3.6), but not before the WAN has an address.
func NextDiscovery(c *schema.Config, l Line, f facts.Facts, now time.Time) time.Time {
	if l.NoWAN != nil || !f.Live || !l.Asks {
		return time.Time{}
	}
	prefixes, d := linePrefixes(l.WAN, f), f.Discovered
	switch {
	case len(prefixes) == 0:
		return time.Time{}
	case d == nil || d.Asked.After(now): // The clock was set back.
		return now
	case !slices.Equal(prefixes, d.Prefixes) || !asked(d, c):
		return d.Asked.Add(DiscoveryPause)
	}
	return d.Next
}

// asked reports whether the line was asked with the credentials that the section has now.
func asked(d *discovery.Discovery, c *schema.Config) bool {
	q := credentials(c)
	return d.User == q.User && d.Server == q.Server
}

func credentials(c *schema.Config) hb46pp.Credentials {
	if c.Discover == nil {
		return hb46pp.Credentials{}
	}
	return hb46pp.Credentials{User: c.Discover.User, Password: c.Discover.Password, Server: c.Discover.Server}
}

// linePrefixes are the delegations and the /64s of the WAN, by which the provider
// may know the line. The CE address is left out: it follows from them.
func linePrefixes(wan kernel.Link, f facts.Facts) []netip.Prefix {
	var all []netip.Prefix
	for _, d := range f.Delegations {
		all = append(all, d.Prefix)
	}
	for _, a := range wan.Addresses {
		if OfLine(a) && !f.Owned.Has(wan.Name, a.Prefix.Addr()) {
			all = append(all, netip.PrefixFrom(a.Prefix.Addr(), 64).Masked())
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Compare(all[j]) < 0 })
	return slices.Compact(all)
}

// Overdue warns if the rules that a plan is made of have expired: only apply and
// watch ask the line.
func Overdue(c *schema.Config, l Line, f facts.Facts, now time.Time) []string {
	if next := NextDiscovery(c, l, f, now); f.Discovered == nil || next.IsZero() || next.After(now) {
		return nil
	}
	return []string{fmt.Sprintf("the rules that the line gave at %s have expired; only apply and watch ask for them again (HB46PP)",
		f.Discovered.Asked.Format(time.DateTime))}
}

// withoutResolver is what is known if the line has no resolver yet: that comes
// with a router advertisement, or a moment later.
func withoutResolver(d *discovery.Discovery, c *schema.Config, f facts.Facts, wan kernel.Link, now time.Time) *discovery.Discovery {
	next := new(discovery.Discovery)
	if d != nil {
		*next = *d
	}
	next.Problem = "no IPv6 resolver of " + wan.Name + " is known, neither to networkd nor in /etc/resolv.conf: only the line's own one knows its rules"
	next.Asked, next.Next, next.Prefixes = now, now.Add(5*time.Second), linePrefixes(wan, f)
	next.User, next.Server = credentials(c).User, credentials(c).Server
	return next
}

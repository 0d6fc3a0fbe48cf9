package line

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"slices"
	"sort"
	"sync/atomic"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/schema"
)

// An Asker asks a line for its rules (HB46PP).
type Asker struct {
	*host.Host
	Client hb46pp.Client // Servers, Interface and Limits may be left zero
	discovery.Store
	// AtStart: this process registers the CE address once, whatever another one has registered.
	AtStart   bool
	names     atomic.Pointer[discovery.Names]
	announced atomic.Pointer[discovery.Announcement]
}

// Ask asks the line the first question that is due or, for a tunnel that is silent, for its far end.
func (a *Asker) Ask(ctx context.Context, c *schema.Config, l Line, f facts.Facts, silent bool) error {
	now := time.Now()
	if next := NextDiscovery(c, l, f, now); !next.IsZero() && !next.After(now) {
		_, err := a.Discover(ctx, c, l, f)
		return err
	}
	return a.resolve(ctx, l, f, silent)
}

// NextQuestion is when the line is to be asked something. The zero time is never, one that is not after now is at once.
func NextQuestion(c *schema.Config, l Line, f facts.Facts, now time.Time) time.Time {
	next, name := NextDiscovery(c, l, f, now), nextName(l, f, now)
	if next.IsZero() || !name.IsZero() && name.Before(next) {
		return name
	}
	return next
}

// Discover asks the line for its rules, whether that is due or not, stores the
// answer and returns it. It takes up to half a minute. A line that does not answer
// is a Problem in what is returned; an error is one of this machine, or the cause
// of the end of ctx.
func (a *Asker) Discover(ctx context.Context, c *schema.Config, l Line, f facts.Facts) (*discovery.Discovery, error) {
	wan := l.WAN
	now := time.Now()
	client := a.client(wan)
	for _, l := range f.Links {
		for _, i := range l.Addresses {
			client.Inside = append(client.Inside, i.Prefix)
		}
	}
	for _, d := range f.Delegations {
		client.Inside = append(client.Inside, d.Prefix)
	}
	if len(client.Servers) == 0 {
		return a.Remember(a.Host, withoutResolver(f.Discovered, c, f, wan, now))
	}
	question := hb46pp.Question{Version: programVersion(), Credentials: credentials(c)}
	if f.Discovered != nil {
		question.Token = f.Discovered.Token
	}
	answer, err := client.Ask(ctx, question)
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // A socket's timer may have fired a moment earlier.
	}
	var failure *hb46pp.Failure
	switch {
	case ctx.Err() != nil: // Nothing is known of the line then.
		return nil, context.Cause(ctx)
	case err != nil && !errors.As(err, &failure):
		return nil, err
	}
	d := f.Discovered.After(answer, failure, now, rand.Float64)
	d.Prefixes, d.User, d.Server = linePrefixes(wan, f), question.User, question.Server
	return a.Remember(a.Host, d)
}

// AsksNow reports whether the line is to be asked something at once.
func AsksNow(c *schema.Config, l Line, f facts.Facts) bool {
	now := time.Now()
	next := NextQuestion(c, l, f, now)
	return !next.IsZero() && !next.After(now)
}

// client is the Client with what was left zero.
func (a *Asker) client(wan kernel.Link) hb46pp.Client {
	c := a.Client
	if c.Servers == nil {
		c.Servers = LineResolvers(a.Host, wan)
	}
	if c.Interface == "" {
		c.Interface = wan.Name
	}
	if c.Limits == (hb46pp.Limits{}) {
		c.Limits = hb46pp.DefaultLimits
	}
	return c
}

func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
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

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
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/s46"
	"mape-netplan/schema"
)

// An Asker asks a line for its rules.
type Asker struct {
	*host.Host
	Client hb46pp.Client // Servers, Interface and Limits may be left zero
	Limits s46.Limits    // may be left zero
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
	now, last := time.Now(), f.Discovered.By(discovery.SourceOf(c.Provider))
	of := a.hb46pp
	if discovery.SourceOf(c.Provider) == discovery.DHCPv6 {
		of = a.s46
	}
	source, missing := of(c, l.WAN, f)
	next := new(discovery.Discovery)
	if missing != "" {
		if last != nil {
			*next = *last
		}
		next.Problem, next.Asked, next.Next = missing, now, now.Add(5*time.Second)
	} else {
		answer, ttl, err := source.Ask(ctx, l.WAN)
		if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
			<-ctx.Done() // A socket's timer may have fired a moment earlier.
		}
		switch {
		case ctx.Err() != nil: // Nothing is known of the line then.
			return nil, context.Cause(ctx)
		case err != nil && !errors.As(err, new(*hb46pp.Failure)) && !errors.As(err, new(discovery.Unanswered)):
			return nil, err
		}
		next = last.After(answer, ttl, err, now, rand.Float64)
	}
	next.Source, next.Prefixes = discovery.SourceOf(c.Provider), linePrefixes(l.WAN, f)
	next.User, next.Server = credentials(c).User, credentials(c).Server
	return a.Remember(a.Host, next)
}

// hb46pp is the source of that name. missing is what the line does not have yet: that comes with a router advertisement, or
// a moment later.
func (a *Asker) hb46pp(c *schema.Config, wan kernel.Link, f facts.Facts) (source discovery.Source, missing string) {
	client := a.client(wan)
	if len(client.Servers) == 0 {
		return nil, "no IPv6 resolver of " + wan.Name + " is known, neither to networkd nor in /etc/resolv.conf: only the line's own one knows its rules"
	}
	for _, l := range f.Links {
		for _, i := range l.Addresses {
			client.Inside = append(client.Inside, i.Prefix)
		}
	}
	for _, d := range f.Delegations {
		client.Inside = append(client.Inside, d.Prefix)
	}
	question := hb46pp.Question{Version: programVersion(), Credentials: credentials(c)}
	if last := f.Discovered.By(discovery.SourceOf(c.Provider)); last != nil {
		question.Token = last.Token
	}
	return discovery.HB46PP{Client: client, Question: question}, ""
}

// s46 is the source of DHCPv6, under networkd's DUID, by which the server may know the line.
func (a *Asker) s46(_ *schema.Config, wan kernel.Link, _ facts.Facts) (source discovery.Source, missing string) {
	duid := networkd.DUID(a.Host, wan)
	switch {
	case !discovery.LinkLocal(wan).IsValid():
		return nil, wan.Name + " has no link-local address yet, to which a DHCPv6 server could answer"
	case duid == nil:
		return nil, wan.Name + " has no Ethernet address, by which a DHCPv6 server could know it"
	}
	limits := a.Limits
	if limits == (s46.Limits{}) {
		limits = s46.DefaultLimits
	}
	return discovery.S46{Client: s46.Client{NS: a.NS, DUID: duid, Limits: limits}}, ""
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
	prefixes, d := linePrefixes(l.WAN, f), f.Discovered.By(discovery.SourceOf(c.Provider))
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
	d := f.Discovered.By(discovery.SourceOf(c.Provider))
	if next := NextDiscovery(c, l, f, now); d == nil || next.IsZero() || next.After(now) {
		return nil
	}
	return []string{fmt.Sprintf("the rules that the line gave at %s have expired; only apply and watch ask for them again (%s)",
		d.Asked.Format(time.DateTime), discovery.Protocol(d.Source))}
}

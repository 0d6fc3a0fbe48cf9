package doctor

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
	"mape-netplan/schema"
)

// Options are how a visit is made.
type Options struct {
	// Watch is how long the tunnel's counters are watched.
	Watch time.Duration
	Now   func() time.Time
	Built time.Time // when the program was; zero is not known
	// Broken are the symptoms of that name, which whoever gathers the facts comes upon.
	Broken []string
	// Refusal is install's for the program and the section as they are given now; nil is none.
	Refusal error
	// Resolve asks the line's own resolvers for the addresses of a name.
	Resolve func(ctx context.Context, h *reconcile.Host, wan reconcile.Link, name string) ([]netip.Addr, error)
	// Probe are the servers that packets are sent to, and Patience how long each answer is waited for; nil sends none.
	Probe    []netip.AddrPort
	Patience time.Duration
}

// DefaultProbe are resolvers of two companies, which answer ping, and TCP and UDP at port 53, from everywhere.
var DefaultProbe = []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:53"), netip.MustParseAddrPort("8.8.8.8:53")}

// Servers are those of a section's probe, or the default.
func Servers(c *schema.Config) []netip.AddrPort {
	if c.Probe == nil {
		return DefaultProbe
	}
	var all []netip.AddrPort
	for _, s := range c.Probe {
		if s.Port() == 0 {
			s = netip.AddrPortFrom(s.Addr(), 53)
		}
		all = append(all, s)
	}
	return all
}

// Examine gathers the symptoms of a machine. It changes nothing. What cannot be looked at is noted, and no reason to stop.
func Examine(ctx context.Context, h *reconcile.Host, c *schema.Config, f reconcile.Facts, o Options) (Symptoms, error) {
	e := examination{h: h, c: c, f: f, o: o}
	if e.s.Broken = o.Broken; o.Refusal != nil {
		e.s.Refusal = o.Refusal.Error()
	}
	var err error
	e.s.Stops, err = h.TryGenerate(ctx)
	e.note("netplan", err)
	first, err := e.counters()
	e.note("tunnel", err)
	begin := o.Now()
	e.note("links", e.links())
	e.note("routers", e.routers())
	line, lineErr := reconcile.Derive(c, f)
	if lineErr == nil {
		relay := reconcile.PathTo(e.h, line.Softwire.BR)
		e.s.Relay = &relay
		e.note("ports", e.ports(line))
	}
	for _, to := range reconcile.Faraway {
		e.s.Internet = append(e.s.Internet, reconcile.PathTo(e.h, to))
	}
	if g, err := reconcile.Resolve(c, f); err == nil {
		e.differences(ctx, g)
	}
	e.s.Units, err = cloudinit.States(ctx, e.h)
	e.note("units", err)
	switch {
	case !h.Booted():
		e.s.NoSystemd = "systemd does not run this machine"
	case err != nil:
		e.s.NoSystemd = err.Error()
	}
	e.s.Home = e.home(ctx)
	e.s.Tracked = e.tracked()
	e.s.Clock = e.clock()
	if e.s.Tunnel == nil {
		e.s.Module = e.module()
		return e.s, ctx.Err()
	}
	if o.Probe != nil {
		b := prober{c.Tunnel, o.Patience}
		e.s.Probe = b.probe(ctx, o.Probe, e.s.Tunnel.MTU)
		if slices.ContainsFunc(e.s.Probe.Answers, func(a Answer) bool { return a.OK }) {
			e.s.Clock.Server = b.date(ctx, o.Probe)
		}
	}
	e.note("tunnel", e.watch(ctx, first, begin))
	return e.s, ctx.Err()
}

// An examination is one under way.
type examination struct {
	h *reconcile.Host
	c *schema.Config
	f reconcile.Facts
	o Options
	s Symptoms
}

func (e *examination) note(what string, err error) {
	if err != nil {
		e.s.Unread = append(e.s.Unread, what+": "+err.Error())
	}
}

// wanOf is the interface that the line is at or, when that cannot be told now, most likely is: the section's, the one
// that an earlier run put the CE address on, the one with the IPv6 default route, the only one that can be meant.
func wanOf(c *schema.Config, f reconcile.Facts) string {
	if c.WAN != "" {
		return c.WAN
	}
	for _, a := range f.Owned.Addresses {
		if _, ok := f.Link(a.Link); ok {
			return a.Link
		}
	}
	if l, err := reconcile.WAN(c, f); err == nil {
		return l.Name
	}
	if all := candidates(c, f); len(all) == 1 {
		return all[0]
	}
	return ""
}

// candidates are the interfaces that a line can be at.
func candidates(c *schema.Config, f reconcile.Facts) []string {
	var all []string
	for _, l := range f.Links {
		lan := slices.Contains(c.LAN, l.Name) || slices.ContainsFunc(l.Addresses, func(a reconcile.Inet) bool {
			return a.Prefix.Addr().Is4() && a.Prefix.Addr().IsPrivate()
		})
		if !lan && !l.Loopback && l.Name != c.Tunnel && l.Kind != "ip6tnl" && l.Kind != "sit" && l.Kind != "dummy" {
			all = append(all, l.Name)
		}
	}
	return all
}

// differences are what apply would change.
func (e *examination) differences(ctx context.Context, g *reconcile.Gateway) {
	for _, r := range reconcile.Compile(g, e.f) {
		changes, err := reconcile.Plan(ctx, e.h, []reconcile.Resource{r})
		if err != nil {
			err := strings.TrimPrefix(err.Error(), r.Name()+": ")
			e.s.Differences = append(e.s.Differences, Difference{Name: r.Name(), After: r.Text(), Error: err})
		}
		for _, c := range changes {
			e.s.Differences = append(e.s.Differences, Difference{Name: r.Name(), Before: c.Before.Text(), After: c.After.Text()})
		}
	}
}

func (e *examination) ports(line reconcile.Line) error {
	u, err := reconcile.LookAtPorts(e.h, line, e.c.Forwards)
	if err != nil {
		return err
	}
	e.s.Ports = &Ports{u, u.Busiest(mostShown)}
	return nil
}

// mostShown is how many destinations and hosts are named.
const mostShown = 5

func (e *examination) tracked() Tracked {
	return Tracked{e.number("nf_conntrack_count"), e.number("nf_conntrack_max")}
}

// number reads a parameter of connection tracking; 0 is not known.
func (e *examination) number(key string) int {
	data, err := e.h.Sys.ReadFile("net/netfilter/" + key)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	return n
}

func (e *examination) clock() Clock {
	c := Clock{Now: e.o.Now(), Built: e.o.Built}
	if data, err := e.h.Root.ReadFile("sys/class/rtc/rtc0/since_epoch"); err == nil {
		if seconds, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
			c.Hardware = time.Unix(seconds, 0).UTC()
		}
	}
	return c
}

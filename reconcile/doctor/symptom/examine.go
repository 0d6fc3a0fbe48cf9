package symptom

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
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
	Resolve func(ctx context.Context, h *host.Host, wan kernel.Link, name string) ([]netip.Addr, error)
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

// looks are in the order in which they are taken. The tunnel's counters are read first and again at last, so that what
// passes meanwhile is seen.
var looks = []struct {
	name string
	look func(*examination, context.Context) error
}{
	{"netplan", (*examination).netplan},
	{"tunnel", (*examination).tunnel},
	{"links", (*examination).links},
	{"routers", (*examination).routers},
	{"paths", (*examination).paths},
	{"ports", (*examination).ports},
	{"differences", (*examination).differences},
	{"units", (*examination).units},
	{"home", (*examination).home},
	{"tracked", (*examination).tracked},
	{"clock", (*examination).clock},
	{"module", (*examination).module},
	{"probe", (*examination).probe},
	{"tunnel", (*examination).watch},
}

// Examine gathers the symptoms of a machine. It changes nothing. What cannot be looked at is noted, and no reason to stop.
func Examine(ctx context.Context, h *host.Host, c *schema.Config, f facts.Facts, aim gateway.Aim, o Options) (Symptoms, error) {
	e := examination{h: h, c: c, f: f, aim: aim, o: o}
	if e.s.Broken = o.Broken; o.Refusal != nil {
		e.s.Refusal = o.Refusal.Error()
	}
	if aim.Line.Softwire.CE.IsValid() {
		e.line = &aim.Line
	}
	for _, l := range looks {
		if err := l.look(&e, ctx); err != nil {
			e.s.Unread = append(e.s.Unread, Unread{l.name, err.Error()})
		}
	}
	return e.s, ctx.Err()
}

// An examination is one under way.
type examination struct {
	h     *host.Host
	c     *schema.Config
	f     facts.Facts
	aim   gateway.Aim
	o     Options
	s     Symptoms
	line  *line.Line // nil where it is not known
	first Count      // what had passed the tunnel at begin
	begin time.Time
}

// WAN is the interface that the line is at or, when that cannot be told now, most likely is: the section's, the one
// that an earlier run put the CE address on, the one with the IPv6 default route, the only one that can be meant.
func WAN(c *schema.Config, f facts.Facts, line line.Line) string {
	if c.WAN != "" {
		return c.WAN
	}
	for _, a := range f.Owned.Addresses {
		if _, ok := f.Link(a.Link); ok {
			return a.Link
		}
	}
	if line.NoWAN == nil {
		return line.WAN.Name
	}
	if all := Candidates(c, f); len(all) == 1 {
		return all[0]
	}
	return ""
}

// Candidates are the interfaces that a line can be at.
func Candidates(c *schema.Config, f facts.Facts) []string {
	var all []string
	for _, l := range f.Links {
		lan := slices.Contains(c.LAN, l.Name) || slices.ContainsFunc(l.Addresses, func(a kernel.Inet) bool {
			return a.Prefix.Addr().Is4() && a.Prefix.Addr().IsPrivate()
		})
		if !lan && !l.Loopback && l.Name != c.Tunnel && l.Kind != "ip6tnl" && l.Kind != "sit" && l.Kind != "dummy" {
			all = append(all, l.Name)
		}
	}
	return all
}

// Package symptom gathers what a machine shows of its gateway.
//
// It judges nothing and changes nothing. Unless it is told to probe, it sends one HTTP request to the home gateway, over
// the line, and nothing else.
//
// A look is a file with what it finds, and here a field of [Symptoms] and a row in looks.
package symptom

import (
	"context"
	"errors"
	"time"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/schema"
)

// Symptoms are what the machine shows beyond its facts. They are plain data and marshal to JSON.
type Symptoms struct {
	// Broken are the files that netplan cannot read: "file /etc/netplan/a.yaml is not a netplan file".
	Broken []string `json:"broken,omitempty"`
	// Closed are other files that could not be read, and why: "/etc/netplan: permission denied".
	Closed []string `json:"closed,omitempty"`
	// Stops is where netplan's generator fails, as file and line; "" if it does not, or is not installed.
	Stops string `json:"netplan_stops,omitempty"`

	Links   []Link   `json:"links"`             // all interfaces of the facts
	Routers []Router `json:"routers,omitempty"` // the IPv6 default routes
	// Heard are routers that have announced themselves on links where there is no such route.
	Heard   []Router `json:"heard,omitempty"`
	Forward bool     `json:"ipv6_forwarding"` // net.ipv6.conf.all.forwarding
	// Relay is the path of packets to the border relay, nil while that is not known.
	Relay *kernel.Path `json:"relay,omitempty"`
	// Internet are the paths to a few addresses on the IPv4 internet.
	Internet []kernel.Path `json:"internet,omitempty"`
	Home     Home          `json:"home"`
	Tunnel   *Tunnel       `json:"tunnel,omitempty"` // nil if there is none
	// Module is "yes" if the kernel can make a tunnel, "no" if not; "" if that is not known, or there is a tunnel.
	Module string `json:"module,omitempty"`
	// Differences are what apply would change.
	Differences []Difference `json:"differences,omitempty"`
	// Units are those that install writes.
	Units []cloudinit.State `json:"units,omitempty"`
	// Refusal is why install would refuse this program or section, and what to do; "" if it would not.
	Refusal string `json:"refusal,omitempty"`
	// Unreadable are files of netplan and networkd that the units cannot read although root can.
	Unreadable []string `json:"unreadable,omitempty"`
	// NoSystemd is why no unit can be started; "" if they can.
	NoSystemd string  `json:"no_systemd,omitempty"`
	Ports     *Ports  `json:"ports,omitempty"`
	Tracked   Tracked `json:"tracked"`
	Clock     Clock   `json:"clock"`
	Probe     *Probe  `json:"probe,omitempty"` // nil unless asked for
	// Unread are the looks that failed.
	Unread []Unread `json:"unread,omitempty"`
}

// Unread is a look that failed, and why.
type Unread struct {
	Look string `json:"look"`
	Why  string `json:"why"`
}

// looks are in the order in which they are taken. The tunnel's counters are read first and again last, so that what passes
// meanwhile is counted.
var looks = []struct {
	name string // in Unread
	take func(*gatherer, context.Context, *Symptoms) error
}{
	{"tunnel", (*gatherer).tunnel},
	{"netplan", (*gatherer).netplan},
	{"links", (*gatherer).links},
	{"routes", (*gatherer).routes},
	{"ports", (*gatherer).ports},
	{"differences", (*gatherer).differences},
	{"units", (*gatherer).units},
	{"home gateway", (*gatherer).home},
	{"clock", (*gatherer).clock},
	{"probe", (*gatherer).probe},
	{"counters", (*gatherer).watch},
}

// Gather takes every look at a machine, and changes nothing. A look that fails is listed in Unread, and the others are
// taken all the same.
func Gather(ctx context.Context, h *host.Host, c *schema.Config, f facts.Facts, aim gateway.Aim, o Options) (Symptoms, error) {
	if o.Compile == nil {
		o.Compile = gateway.Compile
	}
	g := &gatherer{h: h, c: c, f: f, aim: aim, o: o}
	var s Symptoms
	for _, e := range o.Unread {
		why := e.Err.Error()
		if a := (advice.Advice{}); errors.As(e, &a) {
			why = a.What // the remedy is the doctor's
		}
		if text := "file " + e.Path + " " + why; errors.As(e, new(netplan.Broken)) {
			s.Broken = append(s.Broken, text)
		} else {
			s.Closed = append(s.Closed, e.Path+": "+why)
		}
	}
	if o.Refusal != nil {
		s.Refusal = o.Refusal.Error()
	}
	for _, l := range looks {
		if err := l.take(g, ctx, &s); err != nil {
			s.Unread = append(s.Unread, Unread{l.name, err.Error()})
		}
	}
	return s, ctx.Err()
}

// A gatherer is what every look starts from.
type gatherer struct {
	h     *host.Host
	c     *schema.Config
	f     facts.Facts
	aim   gateway.Aim
	o     Options
	begin time.Time // of the tunnel's counting
}

// known reports whether the line has a softwire, or one is held.
func (g *gatherer) known() bool { return g.line().Softwire.Known() }

// line is the line that the machine is on or holds.
func (g *gatherer) line() line.Line {
	l, _, _ := g.aim.Current(g.c)
	return l
}

// netplan finds where its generator fails.
func (g *gatherer) netplan(ctx context.Context, s *Symptoms) (err error) {
	s.Stops, err = netplan.DryRun(g.h, ctx)
	return err
}

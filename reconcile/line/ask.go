package line

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime/debug"
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
}

// Discover asks the line for its rules, whether that is due or not, stores the
// answer and returns it. It takes up to half a minute. A line that does not answer
// is a Problem in what is returned; an error is one of this machine, or the cause
// of the end of ctx.
func (a *Asker) Discover(ctx context.Context, c *schema.Config, l Line, f facts.Facts) (*discovery.Discovery, error) {
	wan := l.WAN
	now := time.Now()
	client := a.client(wan)
	if len(client.Servers) == 0 {
		return a.Remember(a.Host, withoutResolver(f.Discovered, c, f, wan, now))
	}
	question := hb46pp.Question{Identity: hb46pp.Self(programVersion()), Credentials: credentials(c)}
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

// AsksNow reports whether the line is to be asked for its rules at once.
func AsksNow(c *schema.Config, l Line, f facts.Facts) bool {
	now := time.Now()
	next := NextDiscovery(c, l, f, now)
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

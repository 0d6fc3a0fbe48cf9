package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// discover is the provider that the line itself names, by HB46PP.
const discover = "discover"

// ErrWithdrawn is wrapped by errors that say that the line has no MAP-E any
// more: the tunnel is to be taken down (v6mig-prov 1.1, section 3.6, c.2 and j).
var ErrWithdrawn = errors.New("withdrawn by the line")

// withdrawn is an error whose text is its own and that is ErrWithdrawn.
type withdrawn struct{ Why error }

func (w withdrawn) Error() string { return w.Why.Error() }

func (withdrawn) Is(target error) bool { return target == ErrWithdrawn }

// A Discovery is what is known from asking the line for its rules.
type Discovery struct {
	// Reply is the last good one; nil is none that holds.
	Reply *hb46pp.Reply `json:"reply,omitempty"`
	// Problem is why the last question brought nothing; "" is that it did.
	Problem string `json:"problem,omitempty"`
	// Withdrawn says that the line has nothing that this program can do, and
	// Lost that it had before.
	Withdrawn bool `json:"withdrawn,omitempty"`
	Lost      bool `json:"lost,omitempty"`
	// Unstored says that the provider forbids keeping the reply.
	Unstored bool `json:"unstored,omitempty"`
	// Asked is when the line was asked last, Next when it is to be asked again.
	Asked time.Time `json:"asked"`
	Next  time.Time `json:"next"`
	// Prefixes are those that the line had then: the reply may depend on them.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`

	// user and server are those of the section then. Like the token, they stay
	// out of the facts, which people show to others.
	user, server string
	token        hb46pp.Token
}

// offers says whether there are rules.
func (d *Discovery) offers() bool { return d != nil && d.Reply != nil && d.Reply.Offers() == nil }

// after is what is known when a question has been answered, or has not. d may
// be nil.
func (d *Discovery) after(answer hb46pp.Answer, failure *hb46pp.Failure, now time.Time, random func() float64) *Discovery {
	if d == nil {
		d = new(Discovery)
	}
	event, ttl := hb46pp.Offered, time.Duration(-1)
	next := &Discovery{Asked: now}
	if failure != nil {
		event, next.Problem = failure.Event, failure.Error()
	} else {
		next.Reply, next.Unstored, next.token, ttl = answer.Reply, answer.NoStore, answer.Token, answer.Reply.TTL()
		if err := answer.Reply.Offers(); err != nil {
			event, next.Problem = hb46pp.NotOffered, err.Error()
		}
	}
	step := hb46pp.Next(event, ttl, now, random)
	next.Next = step.Next
	switch step.Act {
	case hb46pp.Keep:
		next.Reply, next.Unstored, next.token = d.Reply, d.Unstored, d.token
		next.Withdrawn, next.Lost = d.Withdrawn, d.Lost
	case hb46pp.Withdraw:
		next.Withdrawn, next.Lost = true, d.Lost || d.offers()
	}
	return next
}

// discovered computes the softwire from what the line said.
func discovered(c *schema.Config, f Facts, prefix netip.Prefix) (mapping, error) {
	d := f.Discovered
	switch {
	case d == nil:
		return mapping{}, notYet{errors.New("the line has not been asked for its rules yet (HB46PP): apply, install or watch asks it")}
	case d.Withdrawn && (c.Provider == discover || d.Lost):
		return mapping{}, withdrawn{errors.New(d.Problem)}
	case d.offers():
		return discoveredLine(c, d, prefix)
	case d.Problem == "" && d.Unstored:
		return mapping{}, notYet{errors.New("the provider forbids keeping its rules (Cache-Control: no-store): only apply and watch, which ask, know them")}
	}
	return mapping{}, notYet{errors.New(d.Problem)}
}

func discoveredLine(c *schema.Config, d *Discovery, prefix netip.Prefix) (mapping, error) {
	m := d.Reply.MAPE
	sw, err := softwire.Compute(m.Softwire(), prefix, interfaceID(c, m.InterfaceID()))
	if err != nil {
		return mapping{}, fmt.Errorf("of the rules that %s gave: %w", d.Reply.Name(), err)
	}
	if m.Mesh {
		sw.Warnings = append(sw.Warnings, softwire.NewWarning(softwire.Mesh, d.Reply.Name()+" has its customers send to each other directly (mesh), which is not supported: what comes from them that way is dropped"))
	}
	return mapping{discover, d.Reply.Name(), sw}, nil
}

// undiscovered is the error of a line that no built-in rule is for, with what
// asking it came to.
func undiscovered(err, asked error) error {
	return fmt.Errorf("%w; and the line, asked for its rules (HB46PP): %w", err, asked)
}

// A line that changes all the time is not asked more often than this.
const discoveryPause = 10 * time.Second

// NextDiscovery is when the line is to be asked for its rules. The zero time is
// never; one that is not after now is at once. The line is asked when what it
// said has run out, and when the WAN has other addresses (v6mig-prov 1.1,
// section 3.6): not before it has one.
func NextDiscovery(c *schema.Config, l Line, f Facts, now time.Time) time.Time {
	if l.NoWAN != nil || !f.Live || !l.Asks {
		return time.Time{}
	}
	prefixes, d := linePrefixes(l.WAN, f), f.Discovered
	switch {
	case len(prefixes) == 0:
		return time.Time{}
	case d == nil || d.Asked.After(now): // The clock was set back.
		return now
	case !slices.Equal(prefixes, d.Prefixes) || !d.asked(c):
		return d.Asked.Add(discoveryPause)
	}
	return d.Next
}

// asked says whether the user is still the one that the line was told of.
func (d *Discovery) asked(c *schema.Config) bool {
	q := credentials(c)
	return d.user == q.User && d.server == q.Server
}

func credentials(c *schema.Config) hb46pp.Credentials {
	if c.Discover == nil {
		return hb46pp.Credentials{}
	}
	return hb46pp.Credentials{User: c.Discover.User, Password: c.Discover.Password, Server: c.Discover.Server}
}

// linePrefixes are the delegations, and the /64s of the WAN, that the provider
// may know the line by. The CE address is not among them: it follows from them.
func linePrefixes(wan Link, f Facts) []netip.Prefix {
	var all []netip.Prefix
	for _, d := range f.Delegations {
		all = append(all, d.Prefix)
	}
	for _, a := range wan.Addresses {
		if a.ofLine() && !f.Owned.has(wan.Name, a.Prefix.Addr()) {
			all = append(all, netip.PrefixFrom(a.Prefix.Addr(), 64).Masked())
		}
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return slices.Compact(all)
}

// Overdue says that what a plan is made of may have changed: only apply and
// watch ask the line. None is that it holds.
func Overdue(c *schema.Config, l Line, f Facts, now time.Time) []string {
	if next := NextDiscovery(c, l, f, now); f.Discovered == nil || next.IsZero() || next.After(now) {
		return nil
	}
	return []string{fmt.Sprintf("the rules are those that the line gave at %s, and it is to be asked for them again (HB46PP), which only apply and watch do",
		f.Discovered.Asked.Format(time.DateTime))}
}

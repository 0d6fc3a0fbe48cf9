// Package discovery keeps a line's own answer about its service.
package discovery

import (
	"errors"
	"net/netip"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
)

// Discover is the provider of a section that leaves the rules to the line (HB46PP).
const Discover = "discover"

// ErrWithdrawn is wrapped by errors of a line that has no MAP-E any more: the tunnel
// must be taken down (v6mig-prov 1.1, section 3.6, c.2 and j).
var ErrWithdrawn = errors.New("withdrawn by the line")

// Withdrawn is an error that is ErrWithdrawn and has the text of its reason alone.
type Withdrawn struct{ Why error }

func (w Withdrawn) Error() string { return w.Why.Error() }

func (Withdrawn) Is(target error) bool { return target == ErrWithdrawn }

// A Discovery is what is known from asking the line for its rules.
type Discovery struct {
	// Reply is the last good one; nil if none is valid.
	Reply *hb46pp.Reply `json:"reply,omitempty"`
	// Problem is why the last question got no rules; "" if it did.
	Problem string `json:"problem,omitempty"`
	// Withdrawn: the line offers nothing that this program supports. Lost: it did
	// before.
	Withdrawn bool `json:"withdrawn,omitempty"`
	Lost      bool `json:"lost,omitempty"`
	// Unstored: the provider forbids storing the reply.
	Unstored bool `json:"unstored,omitempty"`
	// Asked is when the line was asked last, Next is when to ask it again.
	Asked time.Time `json:"asked"`
	Next  time.Time `json:"next"`
	// Prefixes are those that the line had then: the reply may depend on them.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`

	// User and Server are those of the section then. Like the token, they stay out
	// of the facts, which people show to others.
	User   string       `json:"-"`
	Server string       `json:"-"`
	Token  hb46pp.Token `json:"-"`
}

// Offers reports whether there are rules. d may be nil.
func (d *Discovery) Offers() bool { return d != nil && d.Reply != nil && d.Reply.Offers() == nil }

// Check is an error for what no line can have said: kept in a file, it may be damaged.
func (d *Discovery) Check() error {
	switch {
	case d.Withdrawn && d.Offers():
		return errors.New("it has rules and has withdrawn them")
	case d.Problem == "" && (d.Withdrawn || !d.Offers() && !d.Unstored):
		return errors.New("it says nothing of the line") // As null does, which is JSON.
	}
	return nil
}

// After is the discovery after a question: with the answer, or with the failure if
// that is not nil. d may be nil.
func (d *Discovery) After(answer hb46pp.Answer, failure *hb46pp.Failure, now time.Time, random func() float64) *Discovery {
	if d == nil {
		d = new(Discovery)
	}
	event, ttl := hb46pp.Offered, time.Duration(-1)
	next := &Discovery{Asked: now}
	if failure != nil {
		event, next.Problem = failure.Event, failure.Error()
	} else {
		next.Reply, next.Unstored, next.Token, ttl = answer.Reply, answer.NoStore, answer.Token, answer.Reply.TTL()
		if err := answer.Reply.Offers(); err != nil {
			event, next.Problem = hb46pp.NotOffered, err.Error()
		}
	}
	step := hb46pp.Next(event, ttl, now, random)
	next.Next = step.Next
	switch step.Act {
	case hb46pp.Keep:
		next.Reply, next.Unstored, next.Token = d.Reply, d.Unstored, d.Token
		next.Withdrawn, next.Lost = d.Withdrawn, d.Lost
	case hb46pp.Withdraw:
		next.Withdrawn, next.Lost = true, d.Lost || d.Offers()
	}
	return next
}

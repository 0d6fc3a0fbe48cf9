// Package discovery keeps a line's own answer about its service.
package discovery

import (
	"errors"
	"net/netip"
	"time"

	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/s46"
)

// Providers of a section that leaves the rules to the line: by HB46PP and by DHCPv6.
const (
	Discover = "discover"
	DHCPv6   = "dhcpv6"
)

// Asks reports whether a provider is one of these.
func Asks(provider string) bool { return provider == Discover || provider == DHCPv6 }

// ErrWithdrawn is wrapped by errors of a line that offers nothing any more: the tunnel
// must be taken down (v6mig-prov 1.1, section 3.6, c.2 and j).
var ErrWithdrawn = errors.New("withdrawn by the line")

// Withdrawn is an error that is ErrWithdrawn and has the text of its reason alone.
type Withdrawn struct{ Why error }

func (w Withdrawn) Error() string { return w.Why.Error() }

func (Withdrawn) Is(target error) bool { return target == ErrWithdrawn }

// A Discovery is what is known from asking the line for its rules.
type Discovery struct {
	// Source is DHCPv6, or "" for HB46PP.
	Source string `json:"source,omitempty"`
	// Offer is that of the last good answer; empty if none is valid.
	Offer
	// Problem is why the last question got no rules; "" if it did.
	Problem string `json:"problem,omitempty"`
	// Withdrawn: the line offers nothing that this program supports. Lost: it did
	// before.
	Withdrawn bool `json:"withdrawn,omitempty"`
	Lost      bool `json:"lost,omitempty"`
	// Asked is when the line was asked last, Next is when to ask it again.
	Asked time.Time `json:"asked"`
	Next  time.Time `json:"next"`
	// Prefixes are those that the line had then: the reply may depend on them.
	Prefixes []netip.Prefix `json:"prefixes,omitempty"`

	// User and Server are those of the section then. Like the token, they stay out
	// of the facts, which people show to others.
	User   string `json:"-"`
	Server string `json:"-"`
}

// SourceOf is the Source of what a line says to a section of that provider.
func SourceOf(provider string) string {
	if provider == DHCPv6 {
		return DHCPv6
	}
	return ""
}

// By is d if it is of that source, otherwise nil. d may be nil.
func (d *Discovery) By(source string) *Discovery {
	if d == nil || d.Source != source {
		return nil
	}
	return d
}

// Protocol is how the line is asked by a source.
func Protocol(source string) string {
	if source == DHCPv6 {
		return "DHCPv6"
	}
	return "HB46PP"
}

// Offers reports whether there are rules. d may be nil.
func (d *Discovery) Offers() bool { return d != nil && len(d.Mechanisms()) > 0 }

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

// After is the discovery after a question: with the answer, which is good for ttl, or
// with the failure if that is not nil. d may be nil.
func (d *Discovery) After(answer Offer, ttl time.Duration, failure error, now time.Time, random func() float64) *Discovery {
	if d == nil {
		d = new(Discovery)
	}
	event, next := hb46pp.Offered, &Discovery{Asked: now}
	var failed *hb46pp.Failure
	switch {
	case errors.As(failure, &failed):
		event, next.Problem = failed.Event, failure.Error()
	case failure != nil:
		event, next.Problem = hb46pp.NoValidAnswer, failure.Error()
	default:
		next.Offer = answer
		if err := answer.refusal(); err != nil {
			event, next.Problem = hb46pp.NotOffered, err.Error()
		}
	}
	step := hb46pp.Next(event, ttl, now, random)
	if next.Next = step.Next; errors.As(failure, new(Unanswered)) {
		waited := time.Duration(0)
		if d.Problem != "" {
			waited = now.Sub(d.Asked)
		}
		next.Next = now.Add(s46.Again(waited, random))
	}
	switch step.Act {
	case hb46pp.Keep:
		next.Offer, next.Withdrawn, next.Lost = d.Offer, d.Withdrawn, d.Lost
	case hb46pp.Withdraw:
		next.Withdrawn, next.Lost = true, d.Lost || d.Offers()
	}
	return next
}

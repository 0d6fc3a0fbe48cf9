package discovery

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/offer"
	"mape-netplan/reconcile/provider/s46"
)

// A Source is a protocol by which a line says what it offers.
type Source interface {
	// Ask asks the line at a link once. ttl is for how long the answer is good, negative where it does not say. The error
	// of a line without a valid answer is a *hb46pp.Failure or Unanswered.
	Ask(ctx context.Context, l kernel.Link) (o Offer, ttl time.Duration, err error)
}

// An Offer is the answer of a line in the form of its protocol, which is checked again whenever it is read. Without one it
// is the zero value.
type Offer struct {
	Reply  *hb46pp.Reply `json:"reply,omitempty"`
	DHCPv6 *s46.Reply    `json:"dhcpv6,omitempty"`
	// Unstored: the provider forbids storing the reply.
	Unstored bool `json:"unstored,omitempty"`
	// Token stays out of the facts, which people show to others.
	Token hb46pp.Token `json:"-"`
}

// Answered reports whether there is an answer.
func (o Offer) Answered() bool { return o.Reply != nil || o.DHCPv6 != nil }

// Name is who has answered, for people.
func (o Offer) Name() string {
	if o.Reply != nil {
		return o.Reply.Name()
	}
	return "the line's DHCPv6 server"
}

// Mechanisms are what the line offers of that which this program supports, the best first.
func (o Offer) Mechanisms() []offer.Mechanism {
	switch {
	case o.Reply != nil:
		return o.Reply.Mechanisms()
	case o.DHCPv6 != nil:
		return o.DHCPv6.Mechanisms
	}
	return nil
}

// Ignored is what of the answer is wrong, beside what can be used.
func (o Offer) Ignored() []string {
	if o.DHCPv6 == nil {
		return nil
	}
	return o.DHCPv6.Ignored
}

// refusal is why an answer has no mechanism; nil if it has.
func (o Offer) refusal() error {
	switch {
	case len(o.Mechanisms()) > 0:
		return nil
	case o.Reply != nil:
		return o.Reply.Offers()
	case len(o.Ignored()) > 0:
		return fmt.Errorf("%s gives nothing that can be used: %s", o.Name(), strings.Join(o.Ignored(), "; "))
	}
	return fmt.Errorf("%s gives no softwire (options 64, 94, 95 and 96)", o.Name())
}

// HB46PP asks by the protocol of that name.
type HB46PP struct {
	hb46pp.Client
	hb46pp.Question
}

func (s HB46PP) Ask(ctx context.Context, l kernel.Link) (Offer, time.Duration, error) {
	s.Interface = cmp.Or(s.Interface, l.Name)
	answer, err := s.Client.Ask(ctx, s.Question)
	if err != nil {
		return Offer{}, 0, err
	}
	return Offer{Reply: answer.Reply, Unstored: answer.NoStore, Token: answer.Token}, answer.Reply.TTL(), nil
}

// S46 asks by DHCPv6, whose sockets are of a network namespace.
type S46 struct{ s46.Client }

// Unanswered is the error of a line whose DHCPv6 servers have no valid answer.
type Unanswered struct{ Err error }

func (u Unanswered) Error() string { return u.Err.Error() }
func (u Unanswered) Unwrap() error { return u.Err }

func (s S46) Ask(ctx context.Context, l kernel.Link) (Offer, time.Duration, error) {
	s.Index, s.Source = l.Index, LinkLocal(l)
	reply, err := s.Client.Ask(ctx)
	if err != nil {
		return Offer{}, 0, Unanswered{fmt.Errorf("DHCPv6 on %s: %w", l.Name, err)}
	}
	return Offer{DHCPv6: reply}, reply.TTL(), nil
}

// LinkLocal is the address by which a link's neighbors reach it; invalid where it has none yet.
func LinkLocal(l kernel.Link) netip.Addr {
	for _, a := range l.Addresses {
		if ip := a.Prefix.Addr(); ip.Is6() && ip.IsLinkLocalUnicast() && !a.Tentative && !a.Failed {
			return ip
		}
	}
	return netip.Addr{}
}

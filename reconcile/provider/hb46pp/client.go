package hb46pp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"mape-netplan/reconcile/bind"
)

// A Client queries the provisioning of one line.
type Client struct {
	// Servers are the line's own resolvers. Others do not have the record.
	Servers []netip.AddrPort
	// Interface is that of the line, to which the sockets are bound; "": any.
	Interface string
	// Inside are the networks of this machine, in which no provisioning server is.
	Inside []netip.Prefix
	// Roots are the certificate authorities; nil: the system's.
	Roots *x509.CertPool
	// Loopback allows a provisioning server on this machine, for tests.
	Loopback bool
	Limits
}

// Limits bound the time and memory that a server can take.
type Limits struct {
	DNS    time.Duration // for an answer of one resolver
	Server time.Duration // for the connection, for TLS and for the header of an answer, each
	Total  time.Duration // for the whole query
	Body   int64         // bytes of an answer
}

// DefaultLimits are generous. 1 MiB holds ten times MostRules.
var DefaultLimits = Limits{DNS: 5 * time.Second, Server: 10 * time.Second, Total: 30 * time.Second, Body: 1 << 20}

// An Answer is a valid reply with its conditions.
type Answer struct {
	Reply *Reply
	// NoStore is set if the reply must not be stored (Cache-Control: no-store, RFC 9111 section 5.2.2.5).
	NoStore bool
	// Token is for the next query; it may have no value.
	Token Token
}

// A Failure is why a query had no valid reply. Its Event is Absent, Unresolved or NoValidAnswer.
type Failure struct {
	Event Event
	Err   error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Ask queries the line once. Every error but that of an invalid question is a [*Failure].
func (c Client) Ask(ctx context.Context, q Question) (Answer, error) {
	if err := q.check(); err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Total, fmt.Errorf("no complete answer within %v", c.Total))
	defer cancel()
	record, err := c.record(ctx)
	if err != nil {
		return Answer{}, err
	}
	answer, err := c.fetch(ctx, record, q)
	if err != nil {
		return Answer{}, &Failure{NoValidAnswer, q.secrets().hushError(err)}
	}
	q.secrets().hushReply(answer.Reply)
	return answer, nil
}

// dialer connects by the line's interface.
func (c Client) dialer() *net.Dialer {
	d := bind.Dialer(c.Interface)
	d.Timeout = c.Server
	return d
}

// checkTarget refuses addresses that a provisioning server cannot have. The record is not authenticated: a forged one
// could otherwise direct requests to services on this machine or on a neighbour.
func (c Client) checkTarget(a netip.Addr) error {
	what := ""
	switch {
	case !a.Is6():
		what = "an IPv4 address"
	case a.Is4In6():
		what = "an IPv4-mapped address"
	case a.IsUnspecified():
		what = "the unspecified address"
	case a.IsLoopback() && c.Loopback:
		return nil
	case a.IsLoopback():
		what = "a loopback address"
	case a.IsMulticast():
		what = "a multicast address"
	case a.IsLinkLocalUnicast():
		what = "a link-local address"
	case slices.ContainsFunc(c.Inside, func(p netip.Prefix) bool { return p.Contains(a) }):
		what = "an address of a network of this machine"
	default:
		return nil
	}
	return fmt.Errorf("%v is %s, which a provisioning server cannot have", a, what)
}

// causeOf returns the cause of the end of ctx instead of an error that only says that ctx ended.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || isTimeout(err)) {
		return context.Cause(ctx)
	}
	return err
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

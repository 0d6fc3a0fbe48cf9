package hb46pp

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"mape-netplan/reconcile/bind"
)

// A Client asks one line.
type Client struct {
	// Servers are the line's own resolvers. Others do not know the record.
	Servers []netip.AddrPort
	// Interface is the line's: what is asked leaves there, whatever the routes say. "" is any.
	Interface string
	// Roots are the certificate authorities; nil are the system's.
	Roots *x509.CertPool
	// Loopback lets the provisioning server be on this machine, as a test's is.
	Loopback bool
	Limits
}

// Limits bound what a server can cost.
type Limits struct {
	DNS    time.Duration // for an answer of one resolver
	Server time.Duration // for the start of an answer: connection, TLS and head, each
	Total  time.Duration // for all
	Body   int64         // bytes of an answer
}

// DefaultLimits are generous. 1 MiB holds ten times MostRules.
var DefaultLimits = Limits{DNS: 5 * time.Second, Server: 10 * time.Second, Total: 30 * time.Second, Body: 1 << 20}

// An Answer is a good reply, and what came with it.
type Answer struct {
	Reply *Reply
	// NoStore says that nothing of it may be kept (Cache-Control: no-store, RFC 9111 section 5.2.2.5).
	NoStore bool
	// Token is for the next question; without a value there is none.
	Token Token
}

// A Failure is why a line gave no good reply. Its Event is Absent, Unresolved or Silent.
type Failure struct {
	Event Event
	Err   error
}

func (f *Failure) Error() string { return f.Err.Error() }
func (f *Failure) Unwrap() error { return f.Err }

// Ask asks the line once. Every error but that of a bad question is a [*Failure].
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
		return Answer{}, &Failure{Silent, q.secrets().hushError(err)}
	}
	q.secrets().hushReply(answer.Reply)
	return answer, nil
}

// dialer makes connections that leave by the line's interface.
func (c Client) dialer() *net.Dialer {
	d := bind.Dialer(c.Interface)
	d.Timeout = c.Server
	return d
}

// checkTarget refuses addresses that no provisioning server of a line has. The record is not authenticated: without
// this, whoever forges it could have the program ask this machine's services, or a neighbour's.
func (c Client) checkTarget(a netip.Addr) error {
	what := ""
	switch {
	case !a.Is6():
		what = "an IPv4 address"
	case a.Is4In6():
		what = "an IPv4-mapped address"
	case a.IsUnspecified():
		what = "the unspecified address"
	case a.IsLoopback() && !c.Loopback:
		what = "a loopback address"
	case a.IsMulticast():
		what = "a multicast address"
	case a.IsLinkLocalUnicast():
		what = "a link-local address"
	default:
		return nil
	}
	return fmt.Errorf("%v is %s, which a provisioning server cannot have", a, what)
}

// causeOf prefers the reason why ctx ended to what somebody made of that.
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

package symptom

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/bind"
)

// A Probe is what came back through the tunnel.
type Probe struct {
	Answers []Answer `json:"answers"`
	// Largest is the length of the longest packet that came back whole, in bytes; 0 is not known.
	Largest int `json:"largest,omitempty"`
	// Refused is that an ICMP error came back for a longer one.
	Refused bool `json:"refused,omitempty"`
}

// An Answer is the outcome of one request.
type Answer struct {
	Protocol string        `json:"protocol"` // icmp, tcp, udp
	To       string        `json:"to"`
	OK       bool          `json:"ok"`
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// ProbeTimeout is that of a probed server's answer: the round trip to the other side of the world takes a third of a second.
const ProbeTimeout = 1500 * time.Millisecond

// probe sends packets through the tunnel, if asked to, and takes the time from a server that answers.
func (g *gatherer) probe(ctx context.Context, s *Symptoms) error {
	if g.o.Probe == nil || s.Tunnel == nil {
		return nil
	}
	b := prober{g.c.Tunnel, g.o.Timeout}
	s.Probe = b.probe(ctx, g.o.Probe, s.Tunnel.MTU)
	if slices.ContainsFunc(s.Probe.Answers, func(a Answer) bool { return a.OK }) {
		s.Clock.Server = b.date(ctx, g.o.Probe)
	}
	return nil
}

// A prober sends through one interface.
type prober struct {
	device  string
	timeout time.Duration
}

// probe sends every server a ping, a TCP SYN and a DNS query, and looks for the longest packet that reaches the first
// server that answers ping.
func (b prober) probe(ctx context.Context, servers []netip.AddrPort, mtu int) *Probe {
	p := &Probe{}
	conn, err := b.pinger(ctx)
	if err == nil {
		defer conn.Close()
	}
	for _, s := range servers {
		pinged := err
		p.add("icmp", s.Addr().String(), func() error {
			if pinged == nil {
				pinged = conn.ping(s.Addr(), smallest, 2)
			}
			return pinged
		})
		p.add("tcp", s.String(), func() error { return b.exchange(ctx, "tcp4", s, nil) })
		p.add("udp", s.String(), func() error { return b.exchange(ctx, "udp4", s, question) })
		if pinged == nil && p.Largest == 0 {
			p.Largest, p.Refused = conn.largest(ctx, s.Addr(), mtu)
		}
	}
	return p
}

func (b prober) dialer() *net.Dialer {
	d := bind.Dialer(b.device)
	d.Timeout = b.timeout
	return d
}

func (p *Probe) add(protocol, to string, try func() error) {
	begin := time.Now()
	a := Answer{Protocol: protocol, To: to, OK: true}
	if err := try(); err != nil {
		a.OK, a.Error = false, err.Error()
	} else {
		a.Took = time.Since(begin)
	}
	p.Answers = append(p.Answers, a)
}

// question asks a resolver for the name servers of the root (RFC 1035, section 4.1).
var question = []byte{'m', 'e', 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}

// exchange connects, and if there is a question sends it and waits for any answer. A refused connection is an answer, too:
// it has come through the tunnel.
func (b prober) exchange(ctx context.Context, network string, to netip.AddrPort, question []byte) error {
	conn, err := b.dialer().DialContext(ctx, network, to.String())
	if err == nil {
		defer conn.Close()
		if question == nil {
			return nil
		}
		conn.SetDeadline(time.Now().Add(b.timeout))
		if _, err = conn.Write(question); err == nil {
			_, err = conn.Read(make([]byte, 1500))
		}
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return plain(err)
}

// plain is an error without the socket's addresses, and errSilent for a timeout.
func plain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return errSilent
	}
	if op := new(net.OpError); errors.As(err, &op) {
		if op.Timeout() {
			return errSilent
		}
		return op.Err
	}
	return err
}

var (
	errSilent = errors.New("no answer")
	errTooBig = errors.New("too big")
)

// date is the time of the first server that answers HTTP; zero if none does.
func (b prober) date(ctx context.Context, servers []netip.AddrPort) time.Time {
	for _, s := range servers {
		if t, err := b.dateOf(ctx, s.Addr()); err == nil {
			return t
		}
	}
	return time.Time{}
}

func (b prober) dateOf(ctx context.Context, server netip.Addr) (time.Time, error) {
	soon, cancel := context.WithTimeout(ctx, 2*b.timeout) // one for the connection, one for the answer
	defer cancel()
	resp, _, err := fetch(soon, b.dialer(), http.MethodHead, "http://"+server.String()+"/", netip.AddrPortFrom(server, 80))
	if err != nil {
		return time.Time{}, err
	}
	return http.ParseTime(resp.Header.Get("Date"))
}

package symptom

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/bind"
)

// A Probe is what came back through the tunnel.
type Probe struct {
	Answers []Answer `json:"answers"`
	// Largest is the longest packet in bytes that came back whole; 0 is not known.
	Largest int `json:"largest,omitempty"`
	// Refused says that a longer one was refused with an error, and not lost without a word.
	Refused bool `json:"refused,omitempty"`
}

// An Answer is what became of one question.
type Answer struct {
	Protocol string        `json:"protocol"` // icmp, tcp, udp
	To       string        `json:"to"`
	OK       bool          `json:"ok"`
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
}

// Patience is how long an answer of a probed server is waited for: around the world and back it takes a third of a
// second.
const Patience = 1500 * time.Millisecond

// probe sends packets where that is asked for and there is a tunnel to send them through.
func (e *examination) probe(ctx context.Context) error {
	if e.s.Tunnel == nil || e.o.Probe == nil {
		return nil
	}
	b := prober{e.c.Tunnel, e.o.Patience}
	e.s.Probe = b.probe(ctx, e.o.Probe, e.s.Tunnel.MTU)
	if slices.ContainsFunc(e.s.Probe.Answers, func(a Answer) bool { return a.OK }) {
		e.s.Clock.Server = b.date(ctx, e.o.Probe)
	}
	return nil
}

// A prober sends through one interface.
type prober struct {
	device   string
	patience time.Duration
}

// probe asks every server in three ways, and the first that answers ping how long a packet may be.
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
	d.Timeout = b.patience
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

// question asks a resolver for the name servers of the root (RFC 1035, section 4.1). Whoever is no resolver and answers
// anything answers.
var question = []byte{'m', 'e', 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1}

// exchange connects, and with a question waits for whatever comes back. A refusal is an answer, too: it has come through
// the tunnel.
func (b prober) exchange(ctx context.Context, network string, to netip.AddrPort, question []byte) error {
	conn, err := b.dialer().DialContext(ctx, network, to.String())
	if err == nil {
		defer conn.Close()
		if question == nil {
			return nil
		}
		conn.SetDeadline(time.Now().Add(b.patience))
		if _, err = conn.Write(question); err == nil {
			_, err = conn.Read(make([]byte, 1500))
		}
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		return nil
	}
	return plain(err)
}

// plain is an error without the addresses that the socket has inside.
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

// date is the time of the first server that speaks HTTP.
func (b prober) date(ctx context.Context, servers []netip.AddrPort) time.Time {
	for _, s := range servers {
		if t, err := b.dateOf(ctx, s.Addr()); err == nil {
			return t
		}
	}
	return time.Time{}
}

func (b prober) dateOf(ctx context.Context, server netip.Addr) (time.Time, error) {
	soon, cancel := context.WithTimeout(ctx, 2*b.patience) // to connect, and for the answer
	defer cancel()
	resp, _, err := fetch(soon, b.dialer(), http.MethodHead, "http://"+server.String()+"/", netip.AddrPortFrom(server, 80))
	if err != nil {
		return time.Time{}, err
	}
	return http.ParseTime(resp.Header.Get("Date"))
}

// smallest is a ping of the usual length, in bytes with both headers; every IPv4 host takes 576 (RFC 791).
const smallest = 84

// pings is a socket for ICMP that may not be fragmented.
type pings struct {
	net.PacketConn
	id, sequence int
	patience     time.Duration
}

func (b prober) pinger(ctx context.Context) (*pings, error) {
	bound := bind.Control(b.device)
	lc := net.ListenConfig{Control: func(network, address string, c syscall.RawConn) error {
		if err := bound(network, address, c); err != nil {
			return err
		}
		var err error
		if e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO)
		}); e != nil {
			return e
		}
		return err
	}}
	conn, err := lc.ListenPacket(ctx, "ip4:icmp", "0.0.0.0")
	if err != nil {
		return nil, err
	}
	return &pings{PacketConn: conn, id: os.Getpid() & 0xffff, patience: b.patience}, nil
}

// ping sends an echo request of size bytes and waits for its answer, so many times. errTooBig says that somebody told
// that it does not fit.
func (p *pings) ping(to netip.Addr, size, times int) error {
	const headers = 20 + 8
	err := errSilent
	for ; times > 0; times-- {
		p.sequence++
		m := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: p.id, Seq: p.sequence, Data: make([]byte, size-headers)}}
		data, e := m.Marshal(nil)
		if e != nil {
			return e
		}
		if _, e := p.WriteTo(data, &net.IPAddr{IP: to.AsSlice()}); errors.Is(e, unix.EMSGSIZE) {
			return errTooBig
		} else if e != nil {
			return plain(e)
		}
		if err = p.await(to); err == nil || errors.Is(err, errTooBig) {
			return err
		}
	}
	return err
}

// await reads until the answer to the last request has come.
func (p *pings) await(to netip.Addr) error {
	p.SetReadDeadline(time.Now().Add(p.patience))
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.ReadFrom(buf)
		if err != nil {
			return plain(err)
		}
		m, err := icmp.ParseMessage(1, buf[:n])
		if err != nil {
			continue
		}
		const fragmentationNeeded = 4 // RFC 1191, section 4
		if m.Type == ipv4.ICMPTypeDestinationUnreachable && m.Code == fragmentationNeeded {
			return errTooBig
		}
		echo, ok := m.Body.(*icmp.Echo)
		if ok && m.Type == ipv4.ICMPTypeEchoReply && echo.ID == p.id && echo.Seq == p.sequence && from.String() == to.String() {
			return nil
		}
	}
}

// Precision is how exactly the longest packet is looked for, in bytes.
const Precision = 8

// largest finds the longest packet that comes back, up to mtu; refused says that a longer one was answered with an error.
func (p *pings) largest(ctx context.Context, to netip.Addr, mtu int) (size int, refused bool) {
	good, bad := smallest, mtu+1
	for next := mtu; bad-good > Precision && ctx.Err() == nil; next = (good + bad) / 2 {
		switch err := p.ping(to, next, 2); {
		case err == nil:
			good = next
			if next == mtu {
				return mtu, false
			}
		case errors.Is(err, errTooBig):
			bad, refused = next, true
		default:
			bad = next
		}
	}
	return good, refused
}

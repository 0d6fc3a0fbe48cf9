package symptom

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"syscall"
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

// smallest is the usual length of a ping, in bytes with both headers. Every IPv4 host accepts 576 (RFC 791).
const smallest = 84

// pings is a socket for ICMP whose packets must not be fragmented.
type pings struct {
	net.PacketConn
	id, sequence int
	timeout      time.Duration
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
	return &pings{PacketConn: conn, id: os.Getpid() & 0xffff, timeout: b.timeout}, nil
}

// ping sends an echo request of size bytes until one is answered, at most so many times. errTooBig is that the kernel or a
// router refuses the size.
func (p *pings) ping(to netip.Addr, size, times int) error {
	err := errSilent
	for ; times > 0; times-- {
		p.sequence++
		sent := p.request(size - 20)
		if _, e := p.WriteTo(sent, &net.IPAddr{IP: to.AsSlice()}); errors.Is(e, unix.EMSGSIZE) {
			return errTooBig
		} else if e != nil {
			return plain(e)
		}
		if err = p.await(to, sent[4:8]); err == nil || errors.Is(err, errTooBig) {
			return err
		}
	}
	return err
}

// The types of ICMP messages (RFC 792), and the code of a destination unreachable for its size (RFC 1191, section 4).
const (
	echoReply, unreachable, echo = 0, 3, 8
	fragmentationNeeded          = 4
)

// request is an echo request of a length, all zeros after its header.
func (p *pings) request(length int) []byte {
	b := make([]byte, length)
	b[0] = echo
	binary.BigEndian.PutUint32(b[4:], uint32(p.id)<<16|uint32(p.sequence&0xffff))
	sum := echo<<8 + p.id + p.sequence&0xffff
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// await reads until the answer with the identifier and number of a request, or the timeout.
func (p *pings) await(to netip.Addr, of []byte) error {
	p.SetReadDeadline(time.Now().Add(p.timeout))
	buf := make([]byte, 1<<16)
	for {
		n, from, err := p.ReadFrom(buf)
		if err != nil {
			return plain(err)
		}
		switch {
		case n < 8:
		case buf[0] == unreachable && buf[1] == fragmentationNeeded:
			return errTooBig
		case buf[0] == echoReply && bytes.Equal(buf[4:8], of) && from.String() == to.String():
			return nil
		}
	}
}

// Precision is that of [Probe.Largest], in bytes.
const Precision = 8

// largest bisects for the longest packet that comes back, up to mtu; refused is that a longer one got an ICMP error.
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

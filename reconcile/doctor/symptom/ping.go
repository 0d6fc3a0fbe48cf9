package symptom

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/bind"
)

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

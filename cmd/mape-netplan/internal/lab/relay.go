package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mtu of the tunnel: 1500 minus the IPv6 header.
const mtu = 1460

// Relay is the border relay. What it receives it takes from the wire rather
// than from a socket, because a socket hides extension headers and reassembles;
// a wrong packet is counted and dropped, as real relays do. What comes back
// from the internet it encapsulates through a raw socket, which also keeps the
// kernel from answering protocol 4 with ICMPv6 parameter problems.
type Relay struct {
	wan  *Namespace
	wire *os.File // every frame from the gateway
	tun  *os.File // the internet
	done sync.WaitGroup

	mu     sync.Mutex
	judge  Judge
	former Judge     // the line before
	until  time.Time // when packets of the former line are wrong
	send   int       // raw socket bound to the BR, -1 for none
	fault  Fault
	report Report
	ports  map[flow]struct{}
}

// newRelay starts a relay on the tap "line" of the wan namespace.
func newRelay(wan *Namespace, judge Judge) (r *Relay, err error) {
	r = &Relay{wan: wan, send: -1, ports: map[flow]struct{}{}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.tun, err = wan.openTap("tun", unix.IFF_TUN); err != nil {
		return r, err
	}
	link, err := wan.links.LinkByName("tun")
	if err != nil {
		return r, err
	}
	if err := wan.links.LinkSetMTU(link, mtu); err != nil {
		return r, err
	}
	// The address is what traceroute shows as the hop behind the gateway.
	if err := errors.Join(wan.address("tun", "100.64.0.1/32"), wan.up("tun")); err != nil {
		return r, err
	}
	if err := wan.Do(r.openWire); err != nil {
		return r, fmt.Errorf("capture on the line: %w", err)
	}
	if err := r.SetJudge(judge); err != nil {
		return r, err
	}
	r.done.Add(2)
	go r.fromGateway()
	go r.fromInternet()
	return r, nil
}

func (r *Relay) openWire() error {
	link, err := r.wan.links.LinkByName("line")
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	r.wire = os.NewFile(uintptr(fd), "wire")
	const all = unix.ETH_P_ALL<<8 | unix.ETH_P_ALL>>8 // network byte order
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all & 0xffff, Ifindex: link.Attrs().Index}),
	)
}

// SetJudge makes the relay another one: its address, the CE it serves, the
// shared address, the port set. What was counted so far stays.
func (r *Relay) SetJudge(j Judge) error {
	err := errors.Join(
		r.wan.address("lo", netip.PrefixFrom(j.BR, 128).String()),
		r.wan.route(netip.PrefixFrom(j.CE, 128).String(), "line", ""),
		r.wan.route(j.IPv4.Masked().String(), "tun", ""),
	)
	if err != nil {
		return err
	}
	var fd int
	err = r.wan.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protoIPIP); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet6{Addr: j.BR.As16()})
	})
	if err != nil {
		return fmt.Errorf("relay socket on %s: %w", j.BR, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.send >= 0 {
		unix.Close(r.send)
	}
	r.judge, r.send = j, fd
	return nil
}

// ce is the address that the relay sends to.
func (r *Relay) ce() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judge.CE
}

// Renumber is SetJudge for a line that changes while it is used: for the grace
// time what is right on the former line is not wrong. What comes from the
// internet goes to the new CE at once.
func (r *Relay) Renumber(j Judge, grace time.Duration) error {
	r.mu.Lock()
	r.former, r.until = r.judge, time.Now().Add(grace)
	r.mu.Unlock()
	return r.SetJudge(j)
}

// verdict is the judge's of the line, or of the former one in its grace time.
func (r *Relay) verdict(frame []byte) Verdict {
	v := r.judge.Frame(frame)
	if v.Tunnel && v.Reason != "" && time.Now().Before(r.until) {
		if f := r.former.Frame(frame); f.Tunnel && f.Reason == "" {
			return f
		}
	}
	return v
}

// A Fault is a failure of the line that no error tells of.
type Fault struct {
	Silent  bool // the relay drops everything
	Longest int  // packets that are longer inside, in bytes, get lost; 0 is none
}

// SetFault makes the relay fail, or with none work again.
func (r *Relay) SetFault(f Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

// takes reports whether a packet gets through.
func (r *Relay) takes(inner []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.fault.Silent && (r.fault.Longest == 0 || len(inner) <= r.fault.Longest)
}

// Inject sends an IPv4 packet to the CE through the tunnel as if it had come
// from the internet.
func (r *Relay) Inject(packet []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return unix.Sendto(r.send, packet, 0, &unix.SockaddrInet6{Addr: r.judge.CE.As16()})
}

func (r *Relay) fromInternet() {
	defer r.done.Done()
	buf := make([]byte, 65536)
	for {
		n, err := r.tun.Read(buf)
		if err != nil {
			return
		}
		if buf[0]>>4 == 4 {
			r.Inject(buf[:n]) // an unreachable CE is lost traffic, as on the real line
		}
	}
}

func (r *Relay) fromGateway() {
	defer r.done.Done()
	buf := make([]byte, 65536)
	for {
		n, err := r.wire.Read(buf)
		if errors.Is(err, unix.ENETDOWN) {
			continue // the gateway is rebooting
		}
		if err != nil {
			return
		}
		if v := r.count(buf[:n]); v.Tunnel && v.Reason == "" && v.To != Stranger && r.takes(v.Inner) {
			r.tun.Write(v.Inner)
		}
	}
}

// Close stops the relay.
func (r *Relay) Close() error {
	for _, f := range []*os.File{r.wire, r.tun} {
		if f != nil {
			f.Close()
		}
	}
	r.done.Wait()
	if r.send >= 0 {
		unix.Close(r.send)
	}
	return nil
}

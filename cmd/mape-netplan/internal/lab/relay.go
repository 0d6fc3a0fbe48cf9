package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Relay is the far end of the line: a border relay, or what its mode calls that. What it receives it takes from the wire rather
// than from a socket, because a socket hides extension headers and reassembles;
// a wrong packet is counted and dropped, as real relays do. What comes back
// from the internet it encapsulates (or translates) and sends through a raw socket, which also keeps the
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
	send   int       // raw socket for what goes to the CE, -1 for none
	refuse int       // likewise for ICMPv6 to it
	fault  Fault
	report Report
	flows  map[flow]struct{}
}

// newRelay starts a relay on the tap "line" of the wan namespace.
func newRelay(wan *Namespace, judge Judge) (r *Relay, err error) {
	r = &Relay{wan: wan, send: -1, refuse: -1, flows: map[flow]struct{}{}}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.tun, err = wan.openTap("tun", unix.IFF_TUN); err != nil {
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

// SetJudge makes the relay another one: its mode and address, the CE it serves, the
// shared address, the port set. What was counted so far stays.
func (r *Relay) SetJudge(j Judge) error {
	tun, err := r.wan.links.LinkByName("tun")
	if err != nil {
		return err
	}
	err = errors.Join(
		r.wan.links.LinkSetMTU(tun, modes[j.Mode].mtu),
		r.wan.address("lo", netip.PrefixFrom(j.BR, 128).String()),
		r.wan.route(netip.PrefixFrom(j.CE, 128).String(), "line", ""),
		r.wan.route(j.IPv4.Masked().String(), "tun", ""),
	)
	if err == nil && j.Mode == DSLite {
		err = r.translate(j.IPv4)
	}
	if err == nil && j.Mode == MAPT {
		// The wire's own reader takes these packets, and nothing else answers them.
		err = r.wan.blackhole(j.DMR)
	}
	protocol, source := protoIPIP, j.BR
	if j.Mode == MAPT {
		// The header is ours as well: the source is no address of this machine.
		protocol, source = unix.IPPROTO_RAW, netip.IPv6Unspecified()
	}
	send, refuse := -1, -1
	if err == nil {
		send, err = r.raw(protocol, source)
	}
	if err == nil {
		refuse, err = r.raw(protoICMPv6, j.BR)
	}
	if err != nil {
		return fmt.Errorf("%s relay %s: %w", j.Mode, j.BR, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closeSockets()
	r.judge, r.send, r.refuse = j, send, refuse
	return nil
}

// raw opens a socket for packets of a protocol from an address of the relay.
func (r *Relay) raw(protocol int, source netip.Addr) (fd int, err error) {
	err = r.wan.Do(func() error {
		if fd, err = unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrInet6{Addr: source.As16()})
	})
	return fd, err
}

// closeSockets closes what SetJudge opened.
func (r *Relay) closeSockets() {
	for _, fd := range []int{r.send, r.refuse} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// translate makes the relay one that has an address of the internet for each of the LAN (RFC 6333 §6.6). As it has but
// one CE, the LAN's addresses tell the connections apart.
func (r *Relay) translate(lan netip.Prefix) error {
	_, err := r.wan.Output(context.Background(), "nft", fmt.Sprintf(
		"table ip aftr\ndelete table ip aftr\ntable ip aftr { chain c { type nat hook postrouting priority srcnat; oifname \"inet\" ip saddr { %s, %s } masquerade; }; }", lan.Masked(), B4))
	return errors.Join(err, r.wan.route(netip.PrefixFrom(B4, 32).String(), "tun", ""))
}

// ce is the address that the relay sends to.
func (r *Relay) ce() netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.judge.CE
}

// MTU is the longest IPv4 packet that fits the line.
func (r *Relay) MTU() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return modes[r.judge.Mode].mtu
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

// Inject sends an IPv4 packet to the CE as if it had come from the internet.
func (r *Relay) Inject(packet []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.judge.Mode == MAPT {
		var err error
		if packet, err = r.judge.toIPv6(packet); err != nil {
			return err
		}
	}
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
		switch v := r.count(buf[:n]); {
		case v.Reason != "":
			r.refusal(buf[:n])
		case v.Tunnel && v.To != Stranger && r.takes(v.Inner):
			r.tun.Write(v.Inner)
		}
	}
}

// refusal tells the sender of a wrong frame, if that is what the relay does (RFC 7596 §6.2, RFC 7599 §8.1).
func (r *Relay) refusal(frame []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.judge.Refuses || r.fault.Silent || len(frame) < 14+40 || frame[12] != 0x86 {
		return
	}
	const unreachable, failedPolicy, quoted = 1, 5, 1232 // RFC 4443 §3.1
	packet := frame[14:min(len(frame), 14+quoted)]
	message := append([]byte{unreachable, failedPolicy, 0, 0, 0, 0, 0, 0}, packet...)
	unix.Sendto(r.refuse, message, 0, &unix.SockaddrInet6{Addr: [16]byte(packet[8:24])})
}

// Close stops the relay.
func (r *Relay) Close() error {
	for _, f := range []*os.File{r.wire, r.tun} {
		if f != nil {
			f.Close()
		}
	}
	r.done.Wait()
	r.closeSockets()
	return nil
}

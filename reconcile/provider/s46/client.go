package s46

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/mdlayher/socket"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
)

// A Client asks the DHCPv6 servers of one link.
type Client struct {
	NS    int // a descriptor of the network namespace; 0 is the caller's
	Index int // of the link
	// Source is the link-local address of the link, to which servers answer.
	Source netip.Addr
	DUID   []byte
	Limits
}

// Limits are the times of a question (RFC 8415 section 18.2.6). A caller whose question ends without an answer asks again.
type Limits struct {
	Delay time.Duration // before the first request, at most
	First time.Duration // between the first and the second request; each later one waits twice as long
	Total time.Duration // for the whole question
}

// DefaultLimits are INF_MAX_DELAY and INF_TIMEOUT of RFC 8415 section 7.6, and the time of five requests.
var DefaultLimits = Limits{Delay: time.Second, First: time.Second, Total: 30 * time.Second}

var errNoAnswer = errors.New("no DHCPv6 server of the line answers")

// Again is how long to wait after a question without an answer: twice as long as since the one before, which is 0 for the
// first (RFC 8415 section 15). random is uniform in [0, 1).
func Again(waited time.Duration, random func() float64) time.Duration {
	const least, most = time.Minute, time.Hour // INF_MAX_RT is an hour.
	return time.Duration(float64(min(max(2*waited, least), most)) * (0.9 + 0.2*random()))
}

// Ask asks once. An answer without softwires counts only if no other server has any within the time of the request: a home
// gateway may answer beside the provider's server. The error is that no server answers, what one refuses, or why the link
// cannot be used.
func (c Client) Ask(ctx context.Context) (*Reply, error) {
	conn, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	defer conn.Close()
	if err := host.Wait(ctx, time.Duration(rand.Float64()*float64(c.Delay))); err != nil {
		return nil, err
	}
	r := request{duid: c.DUID}
	copy(r.transaction[:], binary.NativeEndian.AppendUint32(nil, rand.Uint32()))
	to := &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IPV6), Ifindex: c.Index, Halen: 6, Addr: [8]byte{0x33, 0x33, 0, 1, 0, 2}}
	begin := time.Now()
	for timeout := c.First; time.Since(begin) < c.Total; timeout *= 2 {
		elapsed := min(time.Since(begin)/(10*time.Millisecond), 0xffff)
		if err := conn.Sendto(ctx, packet(c.Source, r.message(uint16(elapsed))), 0, to); err != nil {
			return nil, fmt.Errorf("send to %v: %w", servers, err)
		}
		// The jitter is RAND of RFC 8415 section 15.
		timeout := time.Duration(float64(timeout) * (0.9 + 0.2*rand.Float64()))
		answer, err := r.receive(ctx, conn, min(timeout, c.Total-time.Since(begin)))
		switch {
		case answer != nil:
			return answer, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, err
		}
	}
	return nil, errNoAnswer
}

// receive returns the first answer with softwires that arrives in time, or else the last one without, or a refusal.
func (r request) receive(ctx context.Context, conn *socket.Conn, timeout time.Duration) (answer *Reply, refused error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	parts := fragments{}
	for b := make([]byte, 1<<16); ; {
		n, _, err := conn.Recvfrom(ctx, b, 0)
		switch {
		case ctx.Err() != nil:
			return answer, refused
		case err != nil:
			return answer, fmt.Errorf("receive: %w", err)
		}
		message, ok := parts.message(b[:n])
		if !ok {
			continue
		}
		switch got, err := r.answer(message); {
		case errors.As(err, new(refusal)):
			refused = err
		case err != nil: // It is cut off, or another client's.
		case len(got.Mechanisms) > 0:
			return got, nil
		default:
			answer = got
		}
	}
}

// open opens a packet socket for what arrives at the client's port. It takes nothing from other sockets, and no firewall
// is before it.
func (c Client) open() (*socket.Conn, error) {
	conn, err := socket.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0, "packet", &socket.Config{NetNS: c.NS})
	if err != nil {
		return nil, err
	}
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 6, Size: 1}, // next header
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: protocolFragment, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: protocolUDP, SkipTrue: 3},
		bpf.LoadAbsolute{Off: 42, Size: 2}, // destination port
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: clientPort, SkipTrue: 1},
		bpf.RetConstant{Val: 1 << 16},
		bpf.RetConstant{Val: 0},
	})
	if err == nil {
		err = conn.SetBPF(filter)
	}
	if err == nil { // Without a protocol it has had nothing yet.
		err = conn.Bind(&unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IPV6), Ifindex: c.Index})
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func networkOrder(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

package lab

import (
	"encoding/hex"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Report is what the relay has seen since it started or since Reset.
type Report struct {
	Packets  int      // tunnel packets from the gateway
	Wrong    int      // of these, how many the judge found wrong; they were not forwarded
	DstOpt   int      // of the wrong ones, those with a destination options header
	SentBack int      // of the wrong ones, those the gateway sent back to the relay they came from
	Answered int      // packets to Stranger: answers to what was injected
	Missed   int      // frames the kernel dropped before the judge saw them
	Refused  []string // why each of the wrong ones was, the first thousand
	Examples []string // the first wrong packets: the reason and a dump
}

// Report returns the counts so far.
func (r *Relay) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.countMissed()
	report := r.report
	report.Refused, report.Examples = slices.Clone(report.Refused), slices.Clone(report.Examples)
	return report
}

// Reset begins the counts anew.
func (r *Relay) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.countMissed()
	r.report = Report{}
}

// countMissed adds what the kernel dropped; reading the number clears it there.
func (r *Relay) countMissed() {
	conn, err := r.wire.SyscallConn()
	if err != nil {
		return
	}
	conn.Control(func(fd uintptr) {
		if stats, err := unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			r.report.Missed += int(stats.Drops)
		}
	})
}

// Ports are the source ports that good packets of a protocol ("tcp", "udp") to a destination ever had, in ascending order.
func (r *Relay) Ports(network string, to netip.AddrPort) (ports []uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f := range r.flows {
		if f.network == network && f.to == to {
			ports = append(ports, f.from.Port())
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// Saw reports whether good packets of a protocol from exactly this address and port to a destination ever were there.
func (r *Relay) Saw(network string, from, to netip.AddrPort) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.flows[flow{network, from, to}]
	return ok
}

func (r *Relay) count(frame []byte) Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.verdict(frame)
	if !v.Tunnel {
		return v
	}
	one := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	r.report.Packets++
	r.report.Wrong += one(v.Reason != "")
	r.report.DstOpt += one(v.DstOpt)
	r.report.SentBack += one(v.SentBack)
	r.report.Answered += one(v.To == Stranger)
	if f, ok := flowOf(v.Inner); ok && v.Reason == "" {
		r.flows[f] = struct{}{}
	}
	if v.Reason != "" && len(r.report.Refused) < 1000 {
		r.report.Refused = append(r.report.Refused, v.Reason)
	}
	if v.Reason != "" && len(r.report.Examples) < 5 {
		r.report.Examples = append(r.report.Examples, v.Reason+"\n"+hex.Dump(frame[:min(len(frame), 160)]))
	}
	return v
}

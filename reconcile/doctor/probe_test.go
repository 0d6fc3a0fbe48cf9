package doctor_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/internal/hosttest"
)

const probed = "203.0.113.9"

// newInternet is a machine behind whose tunnel a server answers ping, and TCP and UDP at port 53, and says the time, so far ahead.
func newInternet(t *testing.T, ahead *atomic.Int64) *machine {
	t.Helper()
	m := newMachine(t)
	// A tunnel of IPv4 has no neighbour discovery.
	m.gw.run(t, "sysctl -qw net.ipv6.conf.mape0.disable_ipv6=1")
	m.away.run(t, `sysctl -qw net.ipv6.conf.away.disable_ipv6=1
ip link set away address 02:00:00:00:00:01 arp off mtu 1460
ip addr add `+probed+`/32 dev away
ip route add 153.241.113.198 dev away scope link
sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.away.rp_filter=0`)
	serve := func(port string) net.Listener {
		var l net.Listener
		var err error
		m.away.Do(func() { l, err = net.Listen("tcp4", probed+":"+port) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	dns, web := serve("53"), serve("80")
	go func() {
		for {
			c, err := dns.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	go http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(time.Duration(ahead.Load())).UTC().Format(http.TimeFormat))
	}))
	var udp net.PacketConn
	var err error
	m.away.Do(func() { udp, err = net.ListenPacket("udp4", probed+":53") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(b)
			if err != nil {
				return
			}
			udp.WriteTo(b[:n], from)
		}
	}()
	m.o.Timeout = 200 * time.Millisecond
	m.o.Probe = []netip.AddrPort{netip.MustParseAddrPort(probed + ":53")}
	return m
}

// TestProbe sends packets through the tunnel: all come back, or the long ones do not, or none.
func TestProbe(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the server's clock
	m := newInternet(t, &ahead)
	m.well(t)
	r := m.examine(t)
	if p := r.Symptoms.Probe; len(p.Answers) != 3 || p.Largest != 1460 || p.Refused || time.Since(r.Symptoms.Clock.Server).Abs() > time.Minute {
		t.Errorf("%+v, %+v", p, r.Symptoms.Clock)
	}
	t.Run("black hole", func(t *testing.T) {
		m.away.run(t, "nft 'table ip hole { chain c { type filter hook input priority 0; ip length > 1404 drop; }; }'")
		r := m.is(t, doctor.Bad, "MTU", "bytes get lost … MTU black hole")
		if n := r.Symptoms.Probe.Largest; n > 1404 || n <= 1404-symptom.Precision {
			t.Errorf("the longest packet is taken for one of %d bytes", n)
		}
		m.away.run(t, "nft delete table ip hole")
		m.well(t)
	})
	t.Run("narrow", func(t *testing.T) {
		m.gw.run(t, "ip route add "+probed+" dev mape0 mtu 1400")
		m.well(t)
		if p := m.examine(t).Symptoms.Probe; !p.Refused || p.Largest > 1400 {
			t.Errorf("%+v", p)
		}
		m.gw.run(t, "ip route del "+probed)
	})
	t.Run("silent", func(t *testing.T) {
		m.away.run(t, "nft 'table ip hole { chain c { type filter hook input priority 0; drop; }; }'")
		m.is(t, doctor.Bad, "return traffic", "border relay "+brText+" is silent")
		m.away.run(t, "nft delete table ip hole")
	})
	t.Run("one silent", func(t *testing.T) {
		m.o.Probe = append(m.o.Probe, netip.MustParseAddrPort("203.0.113.10:53"))
		m.is(t, doctor.Warn, "return traffic", "do not answer: icmp 203.0.113.10 (no answer), tcp 203.0.113.10:53")
		m.o.Probe = m.o.Probe[:1]
	})
	t.Run("refused", func(t *testing.T) {
		m.o.Probe[0] = netip.MustParseAddrPort(probed + ":9") // closed: a refusal is an answer
		m.well(t)
		m.o.Probe[0] = netip.MustParseAddrPort(probed + ":53")
	})
	t.Run("clock", func(t *testing.T) {
		ahead.Store(int64(72 * time.Hour))
		m.is(t, doctor.Bad, "clock", "clock is wrong … a server on the internet says")
		ahead.Store(0)
	})
	t.Run("unasked", func(t *testing.T) {
		m.o.Probe = nil
		before := m.gw.run(t, "ip -s -o link show mape0; ip -s -o link show eth0")
		m.well(t)
		if after := m.gw.run(t, "ip -s -o link show mape0; ip -s -o link show eth0"); after != before {
			t.Errorf("something was sent:\n%s\n%s", before, after)
		}
	})
}

// TestSilence watches packets leave without an answer, and then with one.
func TestSilence(t *testing.T) {
	t.Parallel()
	m := newInternet(t, new(atomic.Int64))
	m.o.Probe, m.o.Watch = nil, 2*time.Second
	ping := func() io.Closer {
		cmd := exec.Command("ping", "-q", "-i", "0.01", probed)
		m.lan.Do(func() {
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
		})
		return closer(func() error { cmd.Process.Kill(); return cmd.Wait() })
	}
	hosttest.NeedTool(t, "ping")
	m.away.run(t, "nft 'table ip hole { chain c { type filter hook input priority 0; drop; }; }'")
	p := ping()
	r := m.is(t, doctor.Bad, "return traffic", "border relay "+brText+" is silent")
	if l := r.Symptoms.Tunnel.Lately; l.TX < symptom.EnoughSent || l.RX > 0 {
		t.Errorf("watched %+v", l)
	}
	p.Close()
	m.away.run(t, "nft delete table ip hole")
	p = ping()
	defer p.Close()
	m.well(t)
}

type closer func() error

func (c closer) Close() error { return c() }

package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/schema"
)

// A machine is a gateway between two namespaces. The build host's kernel has no ip6_tunnel: an end of a veth pair stands for
// the tunnel, and what needs a real one is tested in the virtual machine.
//
//	lan 192.168.1.10 ── eth0 192.168.1.1 gw eth1 ── line
//	                                        mape0 ── away
type machine struct {
	lan, gw, line ns
	away          ns // the tunnel's other end: the border relay and the internet
	section       string
	h             *host.Host
	o             symptom.Options
}

// newMachine is a machine on which everything works but the tunnel.
func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{lan: newNS(t), gw: newNS(t), line: newNS(t), section: "mape: {wan: eth1, lan: eth0}"}
	m.gw.run(t, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.default.accept_dad=0")
	veth(t, m.gw, "eth0", m.lan, "lan0")
	veth(t, m.gw, "eth1", m.line, "line0")
	m.away = newNS(t)
	veth(t, m.gw, "mape0", m.away, "away")
	m.lan.run(t, "ip addr add 192.168.1.10/24 dev lan0; ip route add default via 192.168.1.1")
	m.line.run(t, "ip addr add fe80::1/64 dev line0 nodad")
	m.gw.run(t, `sysctl -qw net.ipv6.conf.eth0.accept_ra=0
ip addr add 192.168.1.1/24 dev eth0
ip addr add 2400:4050:5c71:af00::5/64 dev eth1 nodad
ip addr add `+ceText+`/128 dev eth1 preferred_lft 0 nodad
ip -6 route add default via fe80::1 dev eth1
ip link set mape0 address 02:00:00:00:00:01 arp off mtu 1460
ip route add default dev mape0 scope link proto static
sysctl -qw net.ipv4.conf.mape0.rp_filter=2`)
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	m.h = &host.Host{Root: root, NFT: nft.OpenNS(m.gw.FD())}
	m.gw.Do(func() {
		if m.h.Sys, err = os.OpenRoot("/proc/sys"); err == nil {
			m.h.Net, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.h.Net.Close)
	m.o = symptom.Options{
		Now: time.Now,
		Resolve: func(context.Context, *host.Host, kernel.Link, string) ([]netip.Addr, error) {
			return nil, errors.New("no such name")
		},
	}
	m.table(t)
	return m
}

// table installs the NAT table that apply would.
func (m *machine) table(t *testing.T) {
	t.Helper()
	c, f := m.facts(t)
	aim := gateway.Resolve(c, f)
	err := aim.Err
	if err != nil {
		t.Fatal(aim.Err)
	}
	for _, r := range gateway.Compile(aim.Gateway, f) {
		if r.Name() == nat.ResourceName {
			m.gw.Do(func() { err = r.Write(t.Context(), m.h) })
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (m *machine) facts(t *testing.T) (*schema.Config, facts.Facts) {
	t.Helper()
	c, err := schema.Parse("gw.yaml", []byte(m.section))
	if err != nil {
		t.Fatal(err)
	}
	var f facts.Facts
	m.gw.Do(func() { f, err = facts.Gather(m.h) })
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

// examine examines and diagnoses the machine, and leaves out what is not a real tunnel.
func (m *machine) examine(t *testing.T) doctor.Report {
	t.Helper()
	c, f := m.facts(t)
	var s symptom.Symptoms
	var err error
	m.gw.Do(func() { s, err = symptom.Gather(t.Context(), m.h, c, f, gateway.Resolve(c, f), m.o) })
	if err != nil || len(s.Unread) > 0 {
		t.Fatal(err, s.Unread)
	}
	s.Differences = slices.DeleteFunc(s.Differences, func(x symptom.Difference) bool { return x.Name == "tunnel mape0" })
	return doctor.Conclude(doctor.Diagnose(c, f, gateway.Resolve(c, f), s), s)
}

// is checks what is found: the check, and words of the diagnosis.
func (m *machine) is(t *testing.T, state doctor.State, check, words string) doctor.Report {
	t.Helper()
	r := m.examine(t)
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.State == doctor.Bad || f.State == doctor.Warn })
	if i < 0 || r.Findings[i].Check != check || r.Findings[i].State != state || !says(r.Diagnosis, words) || r.OK != (state != doctor.Bad) {
		t.Errorf("want %s to be %s, %q; got %s", check, state, words, all(r))
	}
	return r
}

// well checks that nothing is found but our missing files.
func (m *machine) well(t *testing.T) {
	t.Helper()
	m.is(t, doctor.Warn, "settings", "not as it should be")
}

func all(r doctor.Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s %s: %s", f.State, f.Check, f.Seen)
	}
	return fmt.Sprintf("%s\n%s\n%s", b.String(), r.Diagnosis, r.Advice)
}

// TestLine breaks what is between the line and the tunnel, and repairs it again.
func TestLine(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.well(t)
	br := netip.MustParseAddr(brText)
	for _, test := range []struct {
		name, breaks, repairs string // in the gateway
		check, words          string
	}{
		{"switched off", "ip link set eth1 down", "ip link set eth1 up; ip addr add 2400:4050:5c71:af00::5/64 dev eth1 nodad; ip addr add " + ceText + "/128 dev eth1 preferred_lft 0 nodad; ip -6 route add default via fe80::1 dev eth1", "link", "eth1 is switched off"},
		{"no default route", "ip -6 route del default", "ip -6 route add default via fe80::1 dev eth1", "router", "No router advertisement has arrived on eth1"},
		{"no IPv6", "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=1", "sysctl -qw net.ipv6.conf.eth1.disable_ipv6=0; ip addr add 2400:4050:5c71:af00::5/64 dev eth1 nodad; ip addr add " + ceText + "/128 dev eth1 preferred_lft 0 nodad; ip -6 route add default via fe80::1 dev eth1", "router", "IPv6 is switched off on eth1"},
		{"prefix in no rule", "ip addr del 2400:4050:5c71:af00::5/64 dev eth1; ip addr add 240b:14::5/64 dev eth1 nodad", "ip addr del 240b:14::5/64 dev eth1; ip addr add 2400:4050:5c71:af00::5/64 dev eth1 nodad", "rule", "in no rule … v6plus … 240b:1"},
		{"no CE address", "ip addr del " + ceText + "/128 dev eth1", "ip addr add " + ceText + "/128 dev eth1 preferred_lft 0 nodad", "CE address", "CE address … is missing"},
		{"blackhole", "ip -6 route add unreachable " + br.String(), "ip -6 route del unreachable " + br.String(), "border relay", "border relay … is unreachable"},
		{"relay through the LAN", "ip -6 route add " + br.String() + " dev eth0", "ip -6 route del " + br.String() + " dev eth0", "border relay", "leave through eth0"},
		{"no tunnel route", "ip route del default dev mape0", "ip route add default dev mape0 scope link proto static", "route", "no IPv4 default route"},
		{"another default route", "ip route add default via 192.168.1.10 dev eth0 metric 0 tos 0x10; ip route del default dev mape0; ip route add default via 192.168.1.10 dev eth0", "ip route del default via 192.168.1.10 dev eth0; ip route del default tos 0x10; ip route add default dev mape0 scope link proto static", "route", "Another IPv4 default route wins … eth0"},
		{"a VPN's halves", "ip route add 128.0.0.0/1 via 192.168.1.10 dev eth0", "ip route del 128.0.0.0/1", "route", "takes precedence … packets to 198.41.0.4 leave by eth0 and not by mape0"},
		{"no forwarding", "sysctl -qw net.ipv4.ip_forward=0", "sysctl -qw net.ipv4.ip_forward=1", "route", "does not forward IPv4"},
		{"a foreign SNAT", "nft 'table ip other { chain c { type nat hook postrouting priority 0; masquerade; }; }'", "nft delete table ip other", "other firewalls", "table ip other … translates what leaves through mape0"},
		{"a forward drop", "nft 'table inet other { chain c { type filter hook forward priority 0; policy drop; }; }'", "nft delete table inet other", "other firewalls", "table inet other, chain c: the policy drops"},
		{"a strict filter", "sysctl -qw net.ipv4.conf.mape0.rp_filter=1", "sysctl -qw net.ipv4.conf.mape0.rp_filter=2", "tunnel", "rp_filter is strict"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m.gw.run(t, test.breaks)
			m.is(t, doctor.Bad, test.check, test.words)
			m.gw.run(t, test.repairs)
			m.well(t)
		})
	}
	t.Run("no table", func(t *testing.T) {
		m.gw.run(t, "nft delete table ip mape")
		m.is(t, doctor.Bad, "NAT", "table ip mape is missing")
		m.table(t)
		m.well(t)
	})
	t.Run("no link", func(t *testing.T) {
		m.line.run(t, "ip link set line0 down")
		m.is(t, doctor.Bad, "link", "eth1 has no link")
		m.line.run(t, "ip link set line0 up; ip addr replace fe80::1/64 dev line0 nodad")
		m.well(t)
	})
	t.Run("clock", func(t *testing.T) {
		m.o.Now = func() time.Time { return time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC) }
		m.is(t, doctor.Bad, "clock", "clock is wrong (1970-01-01")
		m.o.Now = time.Now
		m.well(t)
	})
}

// TestNameTaken: an interface of another kind has the tunnel's name.
func TestNameTaken(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	c, f := m.facts(t)
	var s symptom.Symptoms
	var err error
	m.gw.Do(func() { s, err = symptom.Gather(t.Context(), m.h, c, f, gateway.Resolve(c, f), m.o) })
	if err != nil {
		t.Fatal(err)
	}
	if r := doctor.Conclude(doctor.Diagnose(c, f, gateway.Resolve(c, f), s), s); !says(r.Diagnosis, "mape0 cannot be created or repaired: an interface … of kind veth") {
		t.Error(all(r))
	}
}

// TestNoLinkLocal: netplan leaves the WAN without a link-local address, the kernel does, or another host has it.
func TestNoLinkLocal(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.gw.run(t, "ip -6 route del default; ip link set eth1 addrgenmode none; ip -6 address flush dev eth1 scope link")
	m.is(t, doctor.Bad, "router", "eth1 has no IPv6 link-local address, and so gets no router advertisements.")
	if err := os.CopyFS(m.h.Root.Name(), os.DirFS("testdata/no-link-local")); err != nil {
		t.Fatal(err)
	}
	_, f := m.facts(t)
	wan, _ := f.Link("eth1")
	m.write(t, fmt.Sprint("run/systemd/netif/links/", wan.Index), "NETWORK_FILE=/run/systemd/network/10-netplan-eth1.network\n")
	m.is(t, doctor.Bad, "router", "LinkLocalAddressing=no in its .network file")
	m.write(t, "usr/sbin/netplan", "")
	m.is(t, doctor.Bad, "router", "its netplan file says so with link-local (LinkLocalAddressing=no in networkd's)")
	m.write(t, "run/systemd/network/10-netplan-eth1.network.d/a.conf", "[Network]\nLinkLocalAddressing = ipv6\n")
	m.is(t, doctor.Bad, "router", "eth1 has no IPv6 link-local address, and so gets no router advertisements.")
	m.line.run(t, "ip address add fe80::2/64 dev line0 nodad")
	m.gw.run(t, "sysctl -qw net.ipv6.conf.all.accept_dad=1 net.ipv6.conf.eth1.accept_dad=1; ip address add fe80::2/64 dev eth1")
	m.gw.until(t, "ip -6 addr show dev eth1", "dadfailed")
	m.is(t, doctor.Bad, "router", "Another host on the line has the link-local address of eth1")
}

// write writes a file of the machine.
func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	if err := m.h.Root.MkdirAll(path.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.h.Root.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestSwapped: the section has taken the LAN for the WAN, and the line's router is heard where its advertisements are not
// accepted.
func TestSwapped(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.gw.run(t, "ip -6 route del default; sysctl -qw net.ipv6.conf.eth1.accept_ra=0; ip address add 192.168.2.1/24 dev eth1")
	m.section = "mape: {wan: eth0, lan: eth1, prefix: '2400:4050:5c71:af00::/56'}"
	if r := m.is(t, doctor.Bad, "router", "eth0 is configured to ignore router advertisements"); len(r.Symptoms.Heard) > 0 {
		t.Error(r.Symptoms.Heard)
	}
	m.line.advertise(t, "line0", "2400:4050:5c71:af00::/64")
	m.gw.until(t, "ip -6 neighbour show dev eth1", "router")
	r := m.is(t, doctor.Bad, "router", "on eth0 (one has arrived on eth1 instead)")
	if !says(r.Advice, "If the line is at eth1, write \"wan: eth1\" and the LAN's own interface") {
		t.Error(r.Advice)
	}
}

// TestStops: netplan's own generator refuses a file.
func TestStops(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/libexec/netplan/generate"); err != nil {
		hosttest.NeedTool(t, "/usr/lib/netplan/generate")
	}
	m := newMachine(t)
	m.write(t, "etc/netplan/a.yaml", "network: {ethernets: {eth9: {hush: 1}}}\n")
	m.is(t, doctor.Bad, "netplan", "stops at /etc/netplan/a.yaml, line 1")
}

// TestDuplicate: duplicate address detection of the CE address gets an answer on the line.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.line.run(t, "ip addr add "+ceText+"/128 dev line0 nodad")
	m.gw.run(t, "sysctl -qw net.ipv6.conf.all.accept_dad=1 net.ipv6.conf.eth1.accept_dad=1; ip addr del "+ceText+"/128 dev eth1; ip addr add "+ceText+"/128 dev eth1 preferred_lft 0")
	m.gw.until(t, "ip -6 addr show dev eth1", "dadfailed")
	m.is(t, doctor.Bad, "CE address", "Another router on the line already has the CE address "+ceText)
	m.line.run(t, "ip addr del "+ceText+"/128 dev line0")
	m.gw.run(t, "ip addr del "+ceText+"/128 dev eth1; ip addr add "+ceText+"/128 dev eth1 preferred_lft 0 nodad")
	m.well(t)
}

// TestAdvertisements: the kernel takes those of the line, then those without a prefix, and none when it forwards IPv6.
func TestAdvertisements(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.gw.run(t, "ip -6 route del default; ip addr del 2400:4050:5c71:af00::5/64 dev eth1; sysctl -qw net.ipv6.conf.eth1.accept_ra=1")
	m.is(t, doctor.Bad, "router", "No router advertisement has arrived on eth1")
	t.Run("without a prefix", func(t *testing.T) {
		m.line.advertise(t, "line0", "")
		m.gw.until(t, "ip -6 route", "default via fe80::1 dev eth1 proto ra")
		m.is(t, doctor.Bad, "address", "gives no prefix: eth1 has "+ceText+"/128, which is deprecated")
	})
	m.line.advertise(t, "line0", "2400:4050:5c71:af00::/64")
	m.gw.until(t, "ip -6 addr show dev eth1", "/64 scope global dynamic")
	m.well(t)
	m.gw.run(t, "sysctl -qw net.ipv6.conf.all.forwarding=1")
	m.is(t, doctor.Bad, "router", "IPv6 forwarding is on … accept_ra=2")
	m.gw.run(t, "sysctl -qw net.ipv6.conf.eth1.accept_ra=2")
	m.gw.until(t, "ip -6 route", "default via fe80::1 dev eth1 proto ra")
	m.well(t)

	m.gw.run(t, "sysctl -qw net.ipv6.conf.eth0.accept_ra=2")
	m.is(t, doctor.Warn, "LAN", "Router advertisements are accepted on the LAN (eth0)")
	m.lan.advertise(t, "lan0", "2001:db8:1::/64")
	m.gw.until(t, "ip -6 route; ip -6 route show default dev eth0", "dev eth0 proto ra")
	m.is(t, doctor.Bad, "LAN", "A router advertisement on the LAN (eth0)")
}

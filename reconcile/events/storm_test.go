package events

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
)

// A count is of the reports of a listener.
type count struct{ changed, unrelated, table int }

// take empties the channels.
func (c *count) take(e *Reports) {
	for n, reports := range map[*int]chan struct{}{&c.changed: e.Changed, &c.unrelated: e.Unrelated, &c.table: e.Table} {
		select {
		case <-reports:
			*n++
		default:
		}
	}
}

// during counts the reports of a family's messages while a command runs, one message after the other. end causes the last
// message, which is left out; it makes its own report.
func during(t *testing.T, ns *hosttest.NS, e *Reports, family int, groups []uint32, receive func(netlink.Message), command, end string) (all count, messages int) {
	t.Helper()
	c, err := netlink.Dial(family, &netlink.Config{NetNS: ns.FD()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadBuffer(receiveBuffer); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if err := c.JoinGroup(g); err != nil {
			t.Fatal(err)
		}
	}
	ns.Exec(t, "sh", "-ec", command)
	ns.Exec(t, "sh", "-ec", end)
	for {
		received, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range received {
			messages++
			receive(m)
			one := count{}
			one.take(e)
			if last := m.Header.Type == unix.RTM_NEWLINK && strings.Contains(string(m.Data), "last0"); last || one.table > 0 {
				return all, messages
			}
			all.changed, all.unrelated = all.changed+one.changed, all.unrelated+one.unrelated
		}
	}
}

// TestStorm: of two hundred events of others none is a report, or at most one of unrelated links.
func TestStorm(t *testing.T) {
	const each = 100
	routeGroups := []uint32{unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_LINK}
	for _, test := range []struct {
		what, lines string
		unrelated   bool
		want        func(c count) bool
	}{
		{"addresses of others", "address add 10.1.%[1]d.%[2]d/32 dev dummy0\naddress del 10.1.%[1]d.%[2]d/32 dev dummy0\n", true,
			func(c count) bool { return c.changed == 0 && c.unrelated == 2*each }},
		{"addresses of a link that is not known to be unrelated", "address add 10.1.%[1]d.%[2]d/32 dev dummy0\naddress del 10.1.%[1]d.%[2]d/32 dev dummy0\n", false,
			func(c count) bool { return c.changed == 2*each && c.unrelated == 0 }},
		{"routes of a routing daemon", "route add 172.16.%[1]d.%[2]d/32 dev dummy0 proto bgp\nroute del 172.16.%[1]d.%[2]d/32 dev dummy0\n", false,
			func(c count) bool { return c == count{} }},
		// Before the first the address is not known.
		{"lifetimes", "address change 10.0.0.1/8 dev dummy0 valid_lft 1%03[1]d%03[2]d preferred_lft 100\naddress change 10.0.0.1/8 dev dummy0 valid_lft 2%03[1]d%03[2]d preferred_lft 100\n", false,
			func(c count) bool { return c.changed == 1 }},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			ns, e := hosttest.NewNS(t), NewReports()
			ns.Exec(t, "sh", "-ec", "ip link add dummy0 type bridge; ip link set dummy0 addrgenmode none; ip link set dummy0 up; ip address add 10.0.0.1/8 dev dummy0 valid_lft 999999 preferred_lft 100")
			if test.unrelated {
				e.SetUnrelated(map[uint32]bool{index(t, ns, "dummy0"): true})
			}
			got, messages := during(t, ns, e, unix.NETLINK_ROUTE, routeGroups, newRouteEvents(e).receive,
				"ip -batch "+write(t, each, test.lines), "ip link add last0 type bridge")
			if messages < 2*each || !test.want(got) {
				t.Errorf("%d messages are %+v reports", messages, got)
			}
		})
	}
	t.Run("elements of others' sets", func(t *testing.T) {
		t.Parallel()
		ns, e := hosttest.NewNS(t), NewReports()
		ns.Exec(t, "nft", "add table ip others; add set ip others s { type ipv4_addr; }")
		tables := tableEvents{Reports: e}
		got, messages := during(t, ns, e, unix.NETLINK_NETFILTER, []uint32{unix.NFNLGRP_NFTABLES}, tables.receive,
			"nft -f "+write(t, each, "add element ip others s { 10.%[1]d.%[2]d.1 }\ndelete element ip others s { 10.%[1]d.%[2]d.1 }\n"), "nft add table ip "+nat.Name)
		if messages < 2*each || got != (count{}) || e.RulesChanged() {
			t.Errorf("%d messages are %+v reports", messages, got)
		}
	})
}

// TestRulesOfOthers reports what another program changes in nf_tables that can stop packets, and only that.
func TestRulesOfOthers(t *testing.T) {
	for command, want := range map[string]bool{
		"add table inet others":                                            true,
		"add chain ip others f { policy drop; }":                           true,
		"add rule ip others f drop":                                        true,
		"flush chain ip others f":                                          true,
		"delete table ip others":                                           true,
		"flush ruleset":                                                    true,
		"add element ip others s { 10.0.0.1 }":                             false,
		"add set ip others t { type ipv4_addr; }":                          false,
		"add rule ip " + nat.Name + " f drop":                              false,
		"delete table ip " + nat.Name:                                      false,
		"add rule ip " + nat.Name + " f drop; add rule ip others f accept": true,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			ns := hosttest.NewNS(t)
			ns.Exec(t, "nft", "add table ip others; add set ip others s { type ipv4_addr; }; add chain ip others f { type filter hook forward priority 0; policy accept; }; add rule ip others f accept; add table ip "+nat.Name+"; add chain ip "+nat.Name+" f")
			e, err := Listen(&host.Host{NS: ns.FD()})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			if !e.RulesChanged() {
				t.Error("the rules that were there before are not reported")
			}
			ns.Exec(t, "nft", command)
			if strings.Contains(command, nat.Name) {
				<-e.Table
			} else {
				ns.Exec(t, "nft", "add table ip "+nat.Name+"; add chain ip "+nat.Name+" last")
				<-e.Table
			}
			if got := e.RulesChanged(); got != want {
				t.Errorf("it is reported: %v, want %v", got, want)
			}
			if got := len(e.Unrelated) == 1; got != want {
				t.Errorf("it wakes: %v, want %v", got, want)
			}
		})
	}
}

// TestRouteComesBack: the kernel deletes routes with their link or address and sends nothing about them. One that is added
// again is a change.
func TestRouteComesBack(t *testing.T) {
	for _, test := range []struct{ what, gone, back string }{
		{"the link", "ip link set r0 down", "ip link set r0 up"},
		{"its address", "ip address del 172.31.0.1/24 dev r0", "ip address add 172.31.0.1/24 dev r0"},
	} {
		t.Run(test.what, func(t *testing.T) {
			t.Parallel()
			ns, e := hosttest.NewNS(t), NewReports()
			ns.Exec(t, "sh", "-ec", "ip link add r0 type bridge; ip link set r0 addrgenmode none; ip link set r0 up; ip address add 172.31.0.1/24 dev r0")
			routes := newRouteEvents(e)
			during(t, ns, e, unix.NETLINK_ROUTE, []uint32{unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_LINK}, routes.receive,
				"ip route add default via 172.31.0.2; "+test.gone+"; "+test.back, "ip link add last0 type bridge; ip link del last0")
			// Only the route: the link and the address report for themselves.
			got, _ := during(t, ns, e, unix.NETLINK_ROUTE, []uint32{unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_LINK}, routes.receive,
				"ip route add default via 172.31.0.2", "ip link add last0 type bridge")
			if got.changed != 1 {
				t.Errorf("it is %d reports", got.changed)
			}
		})
	}
}

func index(t *testing.T, ns *hosttest.NS, name string) (i uint32) {
	t.Helper()
	ns.Do(func() {
		link, err := vishvananda.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		i = uint32(link.Attrs().Index)
	})
	return i
}

// write makes a file of n times some lines, each time with two other numbers.
func write(t *testing.T, n int, lines string) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, lines, i/250, i%250+1)
	}
	name := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

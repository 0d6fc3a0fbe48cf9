package kernel_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// TestMainRoutes compares with what the library takes from all routes: the
// kernel is not asked for those behind the first that begins otherwise than a
// default route does.
func TestMainRoutes(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	lines := strings.Split(`default via 192.168.1.1 dev eth0 metric 7 mtu 1400
default dev eth1 scope link metric 8 proto static
unreachable default metric 9
default metric 10 nexthop via 192.168.1.2 dev eth0 weight 3 nexthop dev eth1
default via 10.9.9.9 dev eth0 onlink metric 11
default via 192.168.1.4 dev eth0 tos 0x10 metric 12
default via 192.168.1.4 dev eth0 table 77
0.0.0.0/1 dev eth1
0.0.0.0/8 dev eth1
128.0.0.0/1 dev eth1
255.255.255.0/24 dev eth1
-6 default via fe80::1 dev eth1 proto ra metric 512
-6 default dev eth0 metric 2000
-6 ::/1 dev eth0
-6 8000::/1 dev eth0
-6 unreachable 2400:4050:5c71:b000::/56 proto dhcp
-6 unreachable 2400:4050:5c71:c000::/56 proto dhcp table 77`, "\n")
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("%d.%d.%d.0/24 dev eth0", 1+i%200, i/200, 1+i%7), fmt.Sprintf("-6 2001:db8:%x::/48 dev eth0", i))
	}
	rand.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	for _, family := range []string{"-4", "-6"} {
		var b strings.Builder
		for _, l := range lines {
			if rest, six := strings.CutPrefix(l, "-6 "); six == (family == "-6") {
				b.WriteString("route add " + rest + "\n")
			}
		}
		batch := filepath.Join(t.TempDir(), "batch")
		if err := os.WriteFile(batch, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		g.Exec(t, "ip", family, "-batch", batch)
	}
	for family, count := range map[int]int{unix.AF_INET: 6, unix.AF_INET6: 3} {
		got, err := kernel.MainRoutes(g.H, byte(family))
		if err != nil {
			t.Fatal(err)
		}
		got = slices.DeleteFunc(got, func(r netlink.Route) bool { return kernel.Destination(r).Bits() > 0 && !networkd.IsDelegationRoute(r) })
		all, err := g.H.Net.RouteListFiltered(family, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
		if err != nil {
			t.Fatal(err)
		}
		var want []netlink.Route
		for _, r := range all {
			if bits, _ := r.Dst.Mask.Size(); bits == 0 || networkd.IsDelegationRoute(r) {
				want = append(want, r)
			}
		}
		if a, b := routesText(got), routesText(want); a != b || len(got) != count {
			t.Errorf("%d routes, want %d:\n%s\nwant\n%s", len(got), count, a, b)
		}
	}
	for name, count := range map[string]int{"eth0": 3, "eth1": 1, "lo": 0} {
		link, err := g.H.Net.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := kernel.DefaultRoutes(g.H, link); err != nil || len(got) != count {
			t.Errorf("%s has %d default routes, want %d: %v", name, len(got), count, err)
		}
	}
}

// routesText is what is read of routes, and what is needed to delete one.
func routesText(all []netlink.Route) string {
	var b strings.Builder
	for _, r := range all {
		if ip := r.Dst.IP.To4(); ip != nil { // The library has them in 16 bytes.
			r.Dst.IP = ip
		}
		fmt.Fprintf(&b, "%s family %d table %d type %d proto %d scope %d tos %d flags %d dev %d metric %d mtu %d via %s",
			kernel.Destination(r), r.Family, r.Table, r.Type, r.Protocol, r.Scope, r.Tos, r.Flags, r.LinkIndex, r.Priority, r.MTU, r.Gw)
		for _, hop := range r.MultiPath {
			fmt.Fprintf(&b, " hop %d", hop.LinkIndex)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestInets compares with what the library says of addresses.
func TestInets(t *testing.T) {
	g := gatewaytest.NewMachine(t)
	for _, address := range []string{
		"198.51.100.1/24", "198.51.100.2/24", "203.0.113.1 peer 203.0.113.2/30", "2001:db8::1/64", "2001:db8::2/64 valid_lft 600 preferred_lft 300",
		"2001:db8::3 peer 2001:db8::4/126", "2001:db8::5/128 valid_lft 600 preferred_lft 0",
	} {
		g.Exec(t, "sh", "-c", "ip address add "+address+" dev eth1")
	}
	link, err := g.H.Net.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []netlink.Link{nil, link} {
		for _, family := range []int{unix.AF_UNSPEC, unix.AF_INET, unix.AF_INET6} {
			index := 0
			if of != nil {
				index = of.Attrs().Index
			}
			began := time.Now()
			messages, err := kernel.Inets(g.H, byte(family), index)
			if err != nil {
				t.Fatal(err)
			}
			var got, want []kernel.InetMessage
			for _, m := range messages {
				got = append(got, kernel.InetMessage{Index: m.Index, Prefix: m.Prefix, Flags: m.Flags, Preferred: m.Preferred, Valid: m.Valid})
			}
			all, err := g.H.Net.AddrList(of, family)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range all {
				ip, _ := netip.AddrFromSlice(a.IP)
				bits, _ := a.Mask.Size()
				want = append(want, kernel.InetMessage{Index: a.LinkIndex, Prefix: netip.PrefixFrom(ip, bits), Flags: uint32(a.Flags), Preferred: uint32(a.PreferedLft), Valid: uint32(a.ValidLft)})
			}
			// The library was asked later: what is left of a lifetime may be less by then.
			for i := range got {
				if i < len(want) && got[i].Valid >= want[i].Valid && got[i].Preferred >= want[i].Preferred && got[i].Valid <= want[i].Valid+uint32(time.Since(began)/time.Second)+1 {
					got[i].Valid, got[i].Preferred = want[i].Valid, want[i].Preferred
				}
			}
			if !reflect.DeepEqual(got, want) || len(got) == 0 {
				t.Errorf("family %d, link %d: got\n%+v\nwant\n%+v", family, index, got, want)
			}
		}
	}
}

// TestDumpNothing: the tables of a machine whose links are all down do not exist
// yet.
func TestDumpNothing(t *testing.T) {
	hosttest.NeedRoot(t)
	f, err := hosttest.FreshNS()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := &host.Host{NS: int(f.Fd())}
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		routes, err := kernel.MainRoutes(h, family)
		addresses, e := kernel.Inets(h, family, 0)
		if err != nil || e != nil || len(routes)+len(addresses) > 0 {
			t.Errorf("%v, %v: %v, %v", routes, addresses, err, e)
		}
	}
}

package gatewaytest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
	"mape-netplan/reconcile/sysctld"
	"mape-netplan/schema"
)

const CeOfLine = "2400:4050:5c71:af00:99:f171:c600:2f00"

// LineSection is the section of a Machine on its line.
const LineSection = "{prefix: '2400:4050:5c71:af00::/56', wan: eth1, lan: eth0}"

const CloudInit = `-- etc/netplan/50-cloud-init.yaml --
network: {version: 2, ethernets: {eth0: {addresses: [192.168.1.5/24]}, eth1: {}}}
-- etc/sysctl.d/README --
-- etc/systemd/network/README --
-- usr/sbin/netplan --
`

// KernelLinks is what a kernel has for most tests: a bridge, its port and a VLAN on the port share a MAC address.
const KernelLinks = `[
	{"name": "lo", "index": 1, "loopback": true, "mtu": 65536},
	{"name": "enp1s0", "index": 2, "kind": "device", "mac": "bc:24:11:00:00:01", "mtu": 1500},
	{"name": "enp2s0", "index": 3, "kind": "device", "mac": "bc:24:11:00:00:02", "mtu": 1500},
	{"name": "enp2s0.10", "index": 4, "kind": "vlan", "mac": "bc:24:11:00:00:02", "mtu": 1500},
	{"name": "br0", "index": 5, "kind": "bridge", "mac": "bc:24:11:00:00:01", "mtu": 1500}
]`

// Lines is a machine on a line: eth1 is the WAN, eth0 the LAN, docker0 a container engine's bridge.
func Lines(wan ...kernel.Inet) facts.Facts {
	f := facts.Example()
	f.Links = append(f.Links, kernel.Link{Name: "docker0", Kind: "bridge", MTU: 1500, Addresses: []kernel.Inet{{Prefix: netip.MustParsePrefix("172.17.0.1/16")}}})
	f.Links[1].Addresses = append(f.Links[1].Addresses, wan...)
	return f
}

func Inet(p string) kernel.Inet { return kernel.Inet{Prefix: netip.MustParsePrefix(p)} }

func CheckJSON(t *testing.T, f facts.Facts) {
	t.Helper()
	data, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var read facts.Facts
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil || string(again) != string(data) {
		t.Errorf("%v: became\n%s\nwas\n%s", err, again, data)
	}
	section := SectionOf(t, "{prefix: '2400:4050:5c71:af00::/56', wan: eth1, wan-prefix: pd}")
	compiled := func(f facts.Facts) string {
		g, err := Resolve(section, f)
		if err != nil {
			t.Fatal(err)
		}
		return List(g, gateway.Compile(g, f))
	}
	if was, is := compiled(f), compiled(read); is != was {
		t.Errorf("compiled to\n%s\nwas\n%s", is, was)
	}
}

// FactsOf gathers the facts of the files of an archive and of interfaces that are given instead of a kernel's.
func FactsOf(t testing.TB, archive string, links []kernel.Link) facts.Facts {
	t.Helper()
	h, _ := hosttest.HostOf(t, archive)
	f, err := facts.Gather(h)
	if err != nil {
		t.Fatal(err)
	}
	if links == nil {
		return f
	}
	f.Live, f.Networkd, f.Links = true, true, links
	files, err := netplan.ReadFiles(h)
	if err != nil {
		t.Fatal(err)
	}
	f.Definitions = netplan.Definitions(files, links)
	if f.Owned, err = facts.ReadOwned(h, f); err != nil {
		t.Fatal(err)
	}
	return f
}

// LinksOf reads interfaces as JSON.
func LinksOf(t testing.TB, text string) (links []kernel.Link) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &links); err != nil {
		t.Fatal(err)
	}
	return links
}

// SectionOf reads the value of a mape: key.
func SectionOf(t testing.TB, text string) *schema.Config {
	t.Helper()
	c, err := schema.Parse("gw.yaml", []byte("mape: "+strings.TrimSpace(text)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Seek is the line as far as it could be found.
func Seek(c *schema.Config, f facts.Facts) line.Line {
	l, _ := line.Find(c, f)
	return l
}

// Resolve fits a section to facts; nil where the line is only held.
func Resolve(c *schema.Config, f facts.Facts) (*gateway.Gateway, error) {
	aim := gateway.Resolve(c, f)
	if aim.Err != nil {
		return nil, aim.Err
	}
	return aim.Gateway, nil
}

// MustResolve fits a section to facts.
func MustResolve(t testing.TB, section string, f facts.Facts) *gateway.Gateway {
	t.Helper()
	g, err := Resolve(SectionOf(t, section), f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Prefixes of two lines of OCN and one of v6プラス, of which the rules make different CE addresses.
const (
	LineA, CeA = "2400:4050:5c71:af00", "2400:4050:5c71:af00:99:f171:c600:2f00"
	LineB, CeB = "2400:4050:5c71:b000", "2400:4050:5c71:b000:99:f171:c600:3000"
	LineC, CeC = "240b:10:1234:5600", "240b:10:1234:5600:6a:4812:3400:5600"
	Uncovered  = "2001:db8:1:100" // no rule covers it
)

func Advertised(p string, at uint32) kernel.Inet {
	return kernel.Inet{Prefix: netip.MustParsePrefix(p), Origin: kernel.OriginRA, Announced: at}
}

func Static(p string) kernel.Inet {
	return kernel.Inet{Prefix: netip.MustParsePrefix(p), Origin: kernel.OriginStatic}
}

func Delegated(p string) networkd.Delegation {
	return networkd.Delegation{Prefix: netip.MustParsePrefix(p), Link: "eth1", Source: networkd.SourceRoute}
}

// OnLineFacts is a gateway whose WAN has one address.
func OnLineFacts(address string) facts.Facts {
	f := facts.Example()
	if address != "" {
		f.Links[1].Addresses = append(f.Links[1].Addresses, kernel.Inet{Prefix: netip.MustParsePrefix(address)})
	}
	return f
}

// List prints resources with their texts. The table has tests of its own.
func List(g *gateway.Gateway, all []engine.Resource) string {
	var b strings.Builder
	if g != nil {
		for _, w := range g.AllWarnings() {
			fmt.Fprintf(&b, "warning: %s\n", w)
		}
	}
	for _, r := range all {
		text := r.Text()
		switch _, table := r.(resource.Table); {
		case text == "":
			text = "absent\n"
		case table:
			text = fmt.Sprintf("%d lines\n", strings.Count(text, "\n"))
		}
		text = strings.TrimSuffix(strings.ReplaceAll("\n"+strings.TrimSuffix(text, "\n"), "\n", "\n\t"), "\n")
		fmt.Fprintf(&b, "%s%s\n", r.Name(), text)
	}
	return b.String()
}

// RandomFacts is a machine with any history.
func RandomFacts(r *rand.Rand) facts.Facts {
	f := facts.Example()
	maybe := func() bool { return r.IntN(2) == 0 }
	f.Live, f.Netplan, f.Networkd = maybe(), maybe(), maybe()
	f.IPForward = []string{"", "0", "1"}[r.IntN(3)]
	ces := []netip.Prefix{netip.MustParsePrefix("2400:4050:5c71:af00:99:f171:c600:2f00/128"), netip.MustParsePrefix("2001:db8::1/128")}
	for i := range f.Links {
		if maybe() {
			f.Links[i].NetworkFile = "/etc/systemd/network/" + f.Links[i].Name + ".network"
		}
		if maybe() {
			f.Links[i].Addresses = append(f.Links[i].Addresses, kernel.Inet{Prefix: ces[r.IntN(2)]})
		}
	}
	if maybe() {
		f.Definitions = f.Definitions[:r.IntN(2)]
	}
	some := func(names ...string) []string {
		return slices.DeleteFunc(names, func(string) bool { return maybe() })
	}
	f.Owned.Files = some(netplan.Path, sysctld.Path, networkd.NetdevPath, networkd.NetworkPath, networkd.EncapLimitPath("mape0"), networkd.EncapLimitPath("old"),
		networkd.DropInPath("eth0.network"), networkd.DropInPath("eth1.network"), networkd.DropInPath("gone.network"), networkd.DropInPath("10-netplan-eth1.network"))
	f.Owned.Tunnels = some("mape0", "old")
	for _, tunnel := range some("mape0", "old") {
		kind := "bridge"
		if slices.Contains(f.Owned.Tunnels, tunnel) && maybe() {
			kind = "ip6tnl" // One that is not owned is refused.
		}
		f.Links = append(f.Links, kernel.Link{Name: tunnel, Kind: kind})
	}
	for _, link := range some("eth0", "eth1", "gone") {
		f.Owned.Addresses = append(f.Owned.Addresses, facts.OwnedAddress{Link: link, Prefix: ces[r.IntN(2)]})
	}
	return f
}

// Auto is LineSection without the prefix.
const Auto = "{wan: eth1, lan: eth0}"

// LineAddress is an address of LineSection's line, OtherAddress of another one, whose CE address is CeOfOther.
const (
	LineAddress  = "2400:4050:5c71:af00:be24:11ff:fe00:1/64"
	OtherAddress = "2400:4050:5c71:b000:be24:11ff:fe00:1/64"
	CeOfOther    = "2400:4050:5c71:b000:99:f171:c600:3000"
)

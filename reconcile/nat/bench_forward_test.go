package nat_test

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
)

// BenchmarkForwardPacket and BenchmarkForwardBulk compare what the gateway's table costs with a plain source NAT to as
// many ports in one piece, the two in turns. They print a table of time by time: 1.10 is ten percent more time for a
// packet, or 9 % fewer packets. A core whose neighbour is busy is slower by half: only the quotients of one run say
// something. TestCost runs them where the clock is the instructions executed, which nothing disturbs.

// BenchmarkForwardPacket is the forwarding of single packets of 576 bytes to a TUN device and little else.
func BenchmarkForwardPacket(b *testing.B) {
	hosttest.NeedRoot(b)
	hosttest.NeedTool(b, "tc")
	printCosts(b, comparePackets(b))
}

// BenchmarkForwardBulk is TCP through a real tunnel, whose two ends compute on the same core, with segments of 536 bytes
// that come one by one or with offload of segmentation. It needs a kernel with ip6_tunnel.
func BenchmarkForwardBulk(b *testing.B) {
	hosttest.NeedRoot(b)
	if out, err := gatewaytest.TryTunnel(b); err != nil {
		b.Skip(out)
	}
	printCosts(b, compareBulk(b))
}

// printCosts prints the least of the nanoseconds: what disturbs only adds.
func printCosts(b *testing.B, all []comparison) {
	fmt.Println("\n| what passes | plain, ns/packet | ours, ns/packet | ours / plain: median | quartiles |\n|---|---|---|---|---|")
	b.ReportMetric(0, "ns/op")
	for _, c := range all {
		q := c.quotients()
		fmt.Printf("| %s | %.0f | %.0f | %.3f | %.3f to %.3f |\n",
			c.name, quantile(c.plain, 0), quantile(c.ours, 0), quantile(q, 50), quantile(q, 25), quantile(q, 75))
		b.ReportMetric(quantile(q, 50), c.name+"-ratio")
	}
	fmt.Println()
}

var rounds = flag.Int("rounds", 50, "how often BenchmarkForward… compares each of what passes")

// A comparison is nanoseconds for a packet, round by round.
type comparison struct {
	name        string
	plain, ours []float64
}

func (c comparison) quotients() []float64 {
	var q []float64
	for i := range c.plain {
		q = append(q, c.ours[i]/c.plain[i])
	}
	return q
}

func quantile(v []float64, percent int) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)*percent/100]
}

func oursTable() nft.Table {
	return gatewaytest.TableOf(gatewaytest.GatewayOf(gatewaytest.NatKinds["ocn"], 1460))
}

// plainTable uses the pool's own numbers, so that both tables understand the same entry of connection tracking.
func plainTable() nft.Table {
	p := nat.NewPool(gatewaytest.NatKinds["ocn"].Ports.Ranges(), nil)
	return nft.Table{Name: nat.Name, Chains: []nft.Chain{{
		Name: "srcnat", Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting, Priority: 100,
		Rules: []nft.Rule{nft.NewRule(nft.Is(nft.OIfName, kernel.IfName("mape0")), nft.SNAT(netip.MustParsePrefix("192.0.2.18/32"), p.First, p.Last))},
	}}}
}

// filterTunnel puts the filter on the tunnel, or takes it away.
func filterTunnel(t testing.TB, n *hosttest.NS, on bool) {
	t.Helper()
	e := resource.Egress{Link: "mape0"}
	if on {
		e = gatewaytest.EgressOf(gatewaytest.NatKinds["ocn"])
	}
	gatewaytest.WriteFilter(t, n, e)
}

// comparePackets sends the same packets of the same flows through one gateway and changes its table between: what lies
// where in memory is then the same for both, or drawn anew in each round.
func comparePackets(t testing.TB) []comparison {
	t.Helper()
	r := newRig(t, oursTable())
	tcp, udp := r.tcpFlow(t, 536), r.udpFlow(t, 548)
	list := []comparison{{name: "packet-tcp-out"}, {name: "packet-tcp-in"}, {name: "packet-udp-out"}, {name: "packet-udp-in"}}
	plain, ours := []sender{tcp.out, tcp.pooled, udp.out, udp.pooled}, []sender{tcp.out, tcp.in, udp.out, udp.in}
	defer pin(t)()
	for range *rounds {
		filterTunnel(t, r.gw, false)
		r.load(t, plainTable())
		for i := range list {
			list[i].plain = append(list[i].plain, perPacket(t, plain[i]))
		}
		filterTunnel(t, r.gw, true)
		r.load(t, oursTable())
		for i := range list {
			list[i].ours = append(list[i].ours, perPacket(t, ours[i]))
		}
	}
	return list
}

// perPacket is the median of some bursts that are short enough to stay undisturbed.
func perPacket(t testing.TB, s sender) float64 {
	t.Helper()
	s.send(t, 256)
	var bursts []float64
	for range 7 {
		bursts = append(bursts, float64(s.send(t, 320)))
	}
	return quantile(bursts, 50)
}

// connections are how many a comparison of bulk is made with. One keeps for long what it came to: how many packets fly at
// once, and with that how often its ends have to be woken, which is 3 % of all that is done, with any table.
const connections = 6

// compareBulk has two gateways: the server of a connection would notice another table.
func compareBulk(t testing.TB) []comparison {
	t.Helper()
	var list []comparison
	for _, m := range []struct {
		name    string
		mss     int
		offload bool
		bytes   int64
	}{{"bulk-536-no-gro", 536, false, 4 << 20}, {"bulk-1420-gro", 1420, true, 16 << 20}} {
		out, in := comparison{name: m.name + "-out"}, comparison{name: m.name + "-in"}
		packets := time.Duration(m.bytes / int64(m.mss-12)) // less the time stamp option
		for range connections {
			plain, ours := newBulk(t, plainTable(), m.mss, m.offload), newBulk(t, oursTable(), m.mss, m.offload)
			for _, c := range []*comparison{&out, &in} {
				down := c == &in
				for range max(*rounds/connections, 1) {
					c.plain = append(c.plain, float64(plain.transfer(t, down, m.bytes)/packets))
					// Wherever there is a clsact, packets of all links pay for it a little.
					filterTunnel(t, ours.gw, true)
					c.ours = append(c.ours, float64(ours.transfer(t, down, m.bytes)/packets))
					filterTunnel(t, ours.gw, false)
				}
			}
		}
		list = append(list, out, in)
	}
	return list
}

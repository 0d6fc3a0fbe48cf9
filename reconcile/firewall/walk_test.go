package firewall_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

// A writer writes rules at random, of which every test passes or fails the same packet each time.
type writer struct {
	*rand.Rand
	undecided bool // some tests cannot be decided by a walk
}

func (w writer) one(all ...string) string { return all[w.IntN(len(all))] }

func (w writer) test() string {
	if w.undecided && w.IntN(3) == 0 {
		return w.one("ip ttl 63", "ip ttl != 63", "ip length > 20", "ip length > 1400", "meta mark 5", "meta mark != 5", "meta mark 0", "ct mark != 7",
			"meta mark & 0xff == 0", "meta mark & 0xf0 != 0", "meta ipsec missing", "meta pkttype host", "meta pkttype { broadcast, multicast }", "meta priority 0", "limit rate 1000000/second")
	}
	return w.one("iifname eth0", "iifname != eth0", "iifname { eth0, eth1 }", "iifname e*", "oifname mape*", "oifname != eth1", "oifname { eth0, eth1 }", "oifname != { eth0, wg0 }",
		"ct state new", "ct state invalid", "ct state established,related", "ct state != established", "ct state { invalid, untracked }",
		"ip saddr 192.168.1.0/24", "ip saddr != 192.168.0.0/16", "ip saddr 10.0.0.0/8", "ip daddr 192.168.1.1", "ip daddr != 10.0.0.0/8", "fib daddr type unicast", "fib daddr type { local, broadcast }",
		"meta nfproto ipv4", "meta l4proto { tcp, udp }", "meta l4proto icmp")
}

// verdict is what a chain's rule does; it may go to later chains.
func (w writer) verdict(chain int) string {
	if next := chain + 1 + w.IntN(2); next < chains && w.IntN(2) == 0 {
		return w.one("jump", "goto") + fmt.Sprintf(" c%d", next)
	}
	return w.one("accept", "drop", "return", "accept", "drop")
}

// statement is a verdict, or what only a rule can have.
func (w writer) statement(chain int) string {
	if w.IntN(6) == 0 {
		return w.one("reject", "counter")
	}
	return w.verdict(chain)
}

const chains = 4

// table is a base chain, and chains that it goes to.
func (w writer) table() string {
	text := "table inet t {}\ndelete table inet t\ntable inet t {\n"
	for i := chains - 1; i >= 0; i-- {
		text += fmt.Sprintf("chain c%d {\n", i)
		if i == 0 {
			text += "type filter hook forward priority 0; policy " + w.one("accept", "drop") + ";\n"
		}
		for range w.IntN(4) {
			switch rule := w.test(); w.IntN(8) {
			case 0:
				text += fmt.Sprintf("iifname vmap { eth0 : %s, eth1 : %s }\n", w.verdict(i), w.verdict(i))
			case 1:
				text += fmt.Sprintf("ct state vmap { established : %s, new : %s, invalid : %s }\n", w.verdict(i), w.verdict(i), w.verdict(i))
			case 2:
				text += rule + " " + w.test() + " " + w.statement(i) + "\n"
			case 3:
				text += w.statement(i) + "\n"
			default:
				text += rule + " " + w.statement(i) + "\n"
			}
		}
		text += "}\n"
	}
	return text + "}\n"
}

// TestWalk compares what is said of a new connection from the LAN with what the kernel does to it, by rules made at random:
// of what can be decided exactly what it drops, and of the rest everything that it drops, and for sure nothing that it lets
// pass. Whether it has dropped a packet shows when the next one, without the rules, arrives first.
func TestWalk(t *testing.T) {
	t.Parallel()
	gw, lan, inet := bystander(t), hosttest.NewNS(t), hosttest.NewNS(t)
	for _, name := range []string{"eth0", "mape0"} {
		gw.Exec(t, "ip", "link", "del", name)
	}
	hosttest.Veth(t, gw, "eth0", "192.168.1.1/24", lan, "eth0", "192.168.1.10/24")
	hosttest.Veth(t, gw, "mape0", "192.0.2.1/24", inet, "mape0", "192.0.2.2/24")
	gw.Exec(t, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	lan.Exec(t, "ip", "route", "add", "default", "via", "192.168.1.1")
	var to net.PacketConn
	var from net.Conn
	var err error
	inet.Do(func() { to, err = net.ListenPacket("udp4", "192.0.2.2:7") })
	if err == nil {
		lan.Do(func() { from, err = net.Dial("udp4", "192.0.2.2:7") })
	}
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	defer from.Close()
	send := func(text string) {
		for { // An error is the kernel's answer to a packet before, which was rejected.
			if _, err := from.Write([]byte(text)); err == nil {
				return
			}
		}
	}
	read := func() string {
		b := make([]byte, 100)
		n, _, err := to.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	for i := range 100 {
		w := writer{rand.New(rand.NewPCG(uint64(i), 12)), i%2 == 0}
		rules := w.table()
		feed(t, gw, rules, "nft", "-f", "-")
		sure, may := false, false
		for _, said := range foreignWarnings(t, gw) {
			if strings.Contains(said, "new connections from eth0 to mape0") {
				sure, may = sure || strings.Contains(said, " drops "), may || strings.Contains(said, " may drop ")
			}
		}
		send(fmt.Sprint("with ", i))
		gw.Exec(t, "nft", "delete table inet t")
		send(fmt.Sprint("without ", i))
		passed := read() == fmt.Sprint("with ", i)
		if passed {
			read()
		}
		if !w.undecided && (sure == passed || may) || w.undecided && (sure && passed || !sure && !may && !passed) {
			t.Errorf("%d: passed %v, said sure %v, may %v:\n%s", i, passed, sure, may, rules)
		}
	}
}

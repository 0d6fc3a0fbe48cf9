package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
	"mape-netplan/reconcile/ports"
)

const (
	plainSection   = "mape:\n  wan: eth1\n  lan: eth0\n"
	forwardSection = plainSection + `  forwards:
    - {port: 1776, to: "192.168.1.10:8022"}
    - {port: 1777-1779, protocol: tcp, to: 192.168.1.10}
    - {port: [2800, 2801], protocol: udp, to: "192.168.1.10:7000-7001"}
    - {port: 3824, to: "192.168.1.5:2222"}
`
)

// A forwarding is a port of the shared address and the service behind it, "" for none.
type forwarding struct {
	network string
	port    uint16
	to      string
}

var (
	reachable = []forwarding{
		{"tcp", 1776, "lan:8022"}, {"udp", 1776, "lan:8022"},
		{"tcp", 1777, "lan:1777"}, {"tcp", 1779, "lan:1779"},
		{"udp", 2800, "lan:7000"}, {"udp", 2801, "lan:7001"},
		{"tcp", 3824, "gw:2222"}, {"udp", 3824, "gw:2222"},
	}
	// A service listens on each of these, on the LAN host, the gateway or both.
	silent = []forwarding{
		{"udp", 1777, ""}, {"tcp", 1780, ""}, {"udp", 1780, ""}, {"tcp", 2800, ""}, {"tcp", 7000, ""}, {"tcp", 22, ""}, {"tcp", 2222, ""}, {"udp", 2222, ""},
	}
)

// speaker is a service of the gateway on TCP and UDP ports that says who it is
// and whom it sees. Where it is forwarded to, it has the address of that: it would
// answer a datagram from the address of its route to the internet.
const speaker = `cat >/root/say.py <<'END'
import socket, sys, threading
def tcp(l, port):
    while True:
        c, who = l.accept()
        c.sendall(b"gw:%d %s:%d\n" % (port, who[0].encode(), who[1]))
        c.close()
def udp(s, port):
    while True:
        _, who = s.recvfrom(99)
        s.sendto(b"gw:%d %s:%d\n" % (port, who[0].encode(), who[1]), who)
for arg in sys.argv[1:]:
    address, port = arg.split(":")
    port = int(port)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    threading.Thread(target=udp, args=(s, port)).start()
    threading.Thread(target=tcp, args=(socket.create_server((address, port)), port)).start()
open("/run/say", "w")
END
systemd-run --quiet --unit=say python3 /root/say.py 192.168.1.5:2222 0.0.0.0:1780
until [ -e /run/say ]; do sleep 0.2; done`

// forwards: what is forwarded is reached from everywhere, all else from nowhere.
func (g *guest) forwards() {
	if got := g.sh("cat /etc/mape-netplan.yaml"); got != plainSection {
		g.Fatalf("the section is not what this test takes it for:\n%s", got)
	}
	for _, port := range []uint16{8022, 1777, 1778, 1779, 1780, 7000, 7001} {
		if err := g.network.Say(port); err != nil {
			g.Fatal(err)
		}
	}
	g.sh(speaker)
	g.answered(g.network.Inet, "203.0.113.10:", silenced(reachable))
	g.change(forwardSection, "table ip mape")
	g.answered(g.network.Inet, "203.0.113.10:", slices.Concat(reachable, silent))
	g.answered(g.network.LAN, "192.168.1.", reachable)
	g.insideAnswered()
	out := g.sh("nft list table ip mape")
	for _, want := range []string{`ct timeout set "tcp-timeouts" dnat ip to tcp dport map @moved-tcp`, "192.168.1.10 . 8022", `comment "written by mape-netplan"`, "ct count over ", `fib daddr oifname "mape0" reject`} {
		if !strings.Contains(out, want) {
			g.Errorf("nft does not list %q:\n%s", want, out)
		}
	}
	g.judged()
}

// silenced are the same ports with no service behind them.
func silenced(all []forwarding) []forwarding {
	all = slices.Clone(all)
	for i := range all {
		all[i].to = ""
	}
	return all
}

// inbound: connections that no forward is for are left to other tables, and
// the gateway's own services are still not for the internet.
func (g *guest) inbound() {
	g.change(forwardSection+"  inbound: accept\n", "table ip mape")
	// Even where the shared address is the gateway's own.
	g.sh("ip address add " + shared.String() + "/32 dev lo")
	g.answered(g.network.Inet, "203.0.113.10:", slices.Concat(reachable, silent))
	g.sh("nft 'table ip other { chain c { type nat hook prerouting priority dstnat; meta l4proto { tcp, udp } th dport { 1780, 22 } dnat to 192.168.1.10:7000; }; }'")
	g.answered(g.network.Inet, "203.0.113.10:", []forwarding{{"tcp", 1780, "lan:7000"}, {"udp", 1780, "lan:7000"}, {"tcp", 22, ""}, {"tcp", 1776, "lan:8022"}})
	g.sh("nft delete table ip other; ip address del " + shared.String() + "/32 dev lo")
	// They were that table's, and would be taken for ours when ours is lost.
	g.sh("conntrack -D -d " + shared.String())
	g.judged()
}

// closed: a forward that was removed lets no connection in, and cuts those it let in.
func (g *guest) closed() {
	g.change(forwardSection, "table ip mape")
	conn, err := g.network.Inet.Dial(g.ctx, "tcp4", netip.AddrPortFrom(shared, 1776).String())
	if err != nil {
		g.Fatal(err)
	}
	defer func() {
		// Or its data would be sent again while the next step has no guard.
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}()
	lines := bufio.NewReader(conn)
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err = lines.ReadString('\n'); err == nil {
		err = ping(conn, lines)
	}
	if err != nil {
		g.Errorf("a forwarded connection: %v", err)
	}
	var u ports.Usage
	if g.json("mape-netplan ports --json", 0, &u); len(u.Forwards) != 4 || u.Forwards[0].Connections == 0 {
		g.Errorf("ports does not know the forwarded connection: %+v", u.Forwards)
	}
	g.change(plainSection, "conntrack", "table ip mape")
	conn.SetDeadline(time.Now().Add(4 * time.Second))
	if err := ping(conn, lines); !errors.Is(err, os.ErrDeadlineExceeded) {
		g.Errorf("after the forward is gone, its connection says %v", err)
	}
	g.answered(g.network.Inet, "", slices.Concat(silenced(reachable), silent))
	g.sh("systemctl stop say; rm /root/say.py")
	g.judged()
}

// ping sends a line over a connection to an echo and reads it back.
func ping(conn net.Conn, lines *bufio.Reader) error {
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	got, err := lines.ReadString('\n')
	if err == nil && got != "hello\n" {
		err = fmt.Errorf("echo says %q", got)
	}
	return err
}

// change writes a section, and wants plan and apply to name what differs. Who
// is connected to what is forwarded now, or was, may be cut off in any case.
func (g *guest) change(section string, want ...string) {
	g.Helper()
	g.sh("cat >/etc/mape-netplan.yaml <<'END'\n" + section + "END")
	for _, command := range []string{"plan", "apply"} {
		exit := map[string]int{"plan": exitDiffers, "apply": 0}[command]
		names := g.names(command, exit)
		if !slices.Contains(want, "conntrack") {
			names = slices.DeleteFunc(names, func(name string) bool { return name == "conntrack" })
		}
		if !slices.Equal(names, want) {
			g.Errorf("%s names %q, not %q", command, names, want)
		}
	}
	if names := g.names("apply", 0); len(names) > 0 {
		g.Errorf("the second apply changed %q", names)
	}
}

// answered asks, from a namespace, which service is behind ports of the shared
// address, and which source address the service sees.
func (g *guest) answered(from *lab.Namespace, seen string, all []forwarding) {
	g.Helper()
	got := make([]string, len(all))
	var wait sync.WaitGroup
	for i, f := range all {
		timeout := 30 * time.Second
		if f.to == "" {
			timeout = 4 * time.Second
		}
		wait.Go(func() { got[i] = answerOn(g.ctx, from, f, timeout) })
	}
	wait.Wait()
	for i, f := range all {
		if who, sees, _ := strings.Cut(got[i], " "); who != f.to || who != "" && !strings.HasPrefix(sees, seen) {
			g.Errorf("%s %d: %q, not %q, which sees %s…", f.network, f.port, got[i], f.to, seen)
		}
	}
}

// answerOn is what the service on a port sends, "" for silence.
func answerOn(ctx context.Context, from *lab.Namespace, f forwarding, timeout time.Duration) string {
	return answerOf(ctx, from, f.network, netip.AddrPortFrom(shared, f.port), timeout)
}

// answerOf is answerOn for any address.
func answerOf(ctx context.Context, from *lab.Namespace, network string, to netip.AddrPort, timeout time.Duration) string {
	end := time.Now().Add(timeout)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	conn, err := from.Dial(ctx, network+"4", to.String())
	said := ""
	if err == nil {
		defer conn.Close()
		conn.SetDeadline(end)
		if network == "udp" {
			conn.Write([]byte("x"))
		}
		said, err = bufio.NewReader(conn).ReadString('\n')
	}
	if timeout := net.Error(nil); err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		return err.Error()
	}
	return strings.TrimSpace(said)
}

// insideAnswered asks from the gateway itself.
func (g *guest) insideAnswered() {
	script := "import socket\n"
	want := ""
	for _, f := range reachable {
		kind := map[string]string{"tcp": "STREAM", "udp": "DGRAM"}[f.network]
		script += fmt.Sprintf("s = socket.socket(socket.AF_INET, socket.SOCK_%s); s.settimeout(10); s.connect((%q, %d))\n", kind, shared, f.port)
		if f.network == "udp" {
			script += "s.send(b'x')\n"
		}
		script += "print(s.recv(99).split()[0].decode())\n"
		want += f.to + "\n"
	}
	if got := g.sh("python3 - <<'END'\n" + script + "END"); got != want {
		g.Errorf("the gateway itself gets\n%snot\n%s", got, want)
	}
}

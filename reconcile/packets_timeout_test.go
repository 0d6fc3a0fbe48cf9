package reconcile

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"mape-netplan/schema"
)

// TestTimeouts: a connection is forgotten when the section says, one to a resolver sooner; connections that do not pass
// the tunnel are as the machine has them, and a table written again changes no living connection.
func TestTimeouts(t *testing.T) {
	needTool(t, "conntrack")
	l := newLine(t, natKinds["ocn"])
	l.serveTCP(t)
	l.serveUDP(t)
	c, err := dial(l.lan, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	send := func(to string) {
		sockets(t, l.lan, 1)[0].WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(to))
	}
	send(server + ":53")
	send(server + ":4500")
	say(t, l.gw, "gw", 4501)
	send("192.168.1.1:4501")
	time.Sleep(50 * time.Millisecond)
	check := func() {
		t.Helper()
		for port, most := range map[string]int{"80": 7440, "53": 10, "4500": 120, "4501": 30} {
			if left := timeLeft(t, l.gw, port); left > most || left < most-5 {
				t.Errorf("port %s: %d s left, not %d", port, left, most)
			}
		}
	}
	check()
	if err := l.table().Write(l.conn); err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	c.SetReadDeadline(time.Now().Add(2 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	check()
}

// timeLeft is how many seconds the only connection to a port may still be idle.
func timeLeft(t *testing.T, n *ns, port string) int {
	t.Helper()
	for line := range strings.Lines(n.run(t, "conntrack", "-L")) {
		f := strings.Fields(line)
		if !strings.Contains(line, " dport="+port+" ") {
			continue
		}
		left, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatal(line)
		}
		return left
	}
	t.Fatalf("no connection to port %s", port)
	return 0
}

// TestTimeWait: a closed connection's port is free after the time that the section gives.
func TestTimeWait(t *testing.T) {
	needTool(t, "conntrack")
	l := bareLine(t, natKinds["ocn"])
	g := l.gateway()
	g.Conntrack = schema.Conntrack{TCPEstablished: time.Hour, TCPTransitory: time.Hour, TCPTimeWait: 2 * time.Second, UDP: time.Hour, DNS: time.Hour}
	if err := tableOf(g).Write(l.conn); err != nil {
		t.Fatal(err)
	}
	l.serveTCP(t)
	c, err := dial(l.lan, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).Close()
	for deadline := time.Now().Add(10 * time.Second); strings.Contains(l.gw.run(t, "conntrack", "-L"), "dport=80"); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(l.gw.run(t, "conntrack", "-L"))
		}
	}
}

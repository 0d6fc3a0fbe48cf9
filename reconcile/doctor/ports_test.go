package doctor_test

import (
	"net"
	"testing"
	"time"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestPorts: the LAN host opens connections until the set is used up, first to a server and then to a resolver. They go
// nowhere, but connection tracking has them.
func TestPorts(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.section = "mape: {wan: eth1, lan: eth0, softwire: {ce: \"" + ceText + "\", br: \"" + brText + "\", ipv4: 192.0.2.18, psid: 47, psid-len: 8, psid-offset: 4}, conntrack: {dns: 5m}}"
	m.table(t)
	m.well(t)
	flood := func(to string, n int) []net.Conn {
		var all []net.Conn
		m.lan.Do(func() {
			for range n {
				c, err := net.Dial("udp4", to)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
		})
		for range 5 { // So many at once are more than the table counts in a second: some find no port at first.
			for _, c := range all {
				c.Write([]byte("x"))
			}
			time.Sleep(200 * time.Millisecond)
		}
		return all
	}
	close := func(all []net.Conn) {
		for _, c := range all {
			c.Close()
		}
		m.gw.run(t, "conntrack -F 2>/dev/null")
	}
	hosttest.NeedTool(t, "conntrack")
	all := flood("203.0.113.9:443", 260)
	m.is(t, doctor.Bad, "ports", "port set is exhausted … 203.0.113.9:443 … 192.168.1.10 has 240")
	close(all)
	all = flood("203.0.113.9:443", 210)
	m.is(t, doctor.Warn, "ports", "nearly exhausted … 203.0.113.9:443")
	close(all)
	all = flood("203.0.113.8:53", 100)
	m.is(t, doctor.Warn, "DNS", "DNS over IPv4 uses up the ports: 100 of 240 ports towards 203.0.113.8:53 (udp)")
	close(all)
	all = flood("203.0.113.8:53", 260)
	m.is(t, doctor.Bad, "DNS", "DNS over IPv4 uses up the ports: 240 of 240")
	close(all)
	m.well(t)
}

package gatewaytest

import (
	"path/filepath"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

// Track makes entries of connection tracking, each as "conntrack -I" takes it.
func Track(n *hosttest.NS, t testing.TB, entries ...string) {
	t.Helper()
	hosttest.NeedTool(t, "conntrack")
	file := filepath.Join(t.TempDir(), "entries")
	hosttest.WriteFile(t, file, "-I -t 300 "+strings.Join(entries, "\n-I -t 300 ")+"\n")
	n.Exec(t, "conntrack", "-R", file)
}

// Entries that are others', as conntrack -I takes them: Docker's masquerade and a published port, another uplink, a
// connection of the gateway itself and one of the LAN with the shared address.
var Others = []string{
	"-p udp -s 172.17.0.2 -d 198.51.100.1 --sport 1900 --dport 53 --src-nat 192.168.1.5:1900",
	"-p tcp --state ESTABLISHED -s 203.0.113.5 -d 203.0.113.9 --sport 1900 --dport 8080 --dst-nat 172.17.0.2:80",
	"-p udp -s 192.168.1.10 -d 198.51.100.1 --sport 1901 --dport 53 --src-nat 203.0.113.9:1901",
	"-p udp -s 192.168.1.5 -d 192.168.1.1 --sport 1902 --dport 53",
	"-p tcp --state ESTABLISHED -s 192.168.1.11 -d 153.241.113.198 --sport 1903 --dport 443 --dst-nat 192.168.1.10:443",
}

// Tracked lists what connection tracking has, sorted and without what passes, or what the kernel itself sends: IGMP, when
// an interface comes up.
func Tracked(n *hosttest.NS, t testing.TB) string {
	t.Helper()
	out := n.Exec(t, "sh", "-c", "conntrack -L 2>/dev/null | grep -v '^unknown *2 ' | sed 's/^\\([a-z]* *[0-9]*\\) *[0-9]* /\\1 /' | sort")
	return out
}

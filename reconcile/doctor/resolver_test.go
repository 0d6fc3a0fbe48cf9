package doctor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// inside has the test's program resolve a name on an interface, in the namespace that it was started in: Go's resolver
// asks from threads of its own.
const inside = "DOCTOR_RESOLVE"

func TestMain(m *testing.M) {
	if wan := os.Getenv(inside); wan != "" {
		fmt.Println(resolveInside(wan, os.Getenv(inside+"_ROOT")))
		return
	}
	os.Exit(m.Run())
}

func resolveInside(wan, dir string) string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err.Error()
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err.Error()
	}
	link, err := handle.LinkByName(wan)
	if err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	all, err := symptom.LineResolver(ctx, &host.Host{Root: root, Net: handle}, kernel.Link{Name: wan, Index: link.Attrs().Index}, symptom.HomeName)
	slices.SortFunc(all, netip.Addr.Compare)
	return fmt.Sprint(all, err)
}

// TestLineResolver asks the resolvers that networkd knows of the line, and none that another interface leads to.
func TestLineResolver(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.line.run(t, "ip addr add 2001:db8:7f01::53/128 dev lo nodad; ip -6 route add 2400:4050:5c71:af00::/64 dev line0")
	m.lan.run(t, "ip addr add 192.168.1.53/24 dev lan0")
	home := m.answerDNS(t, m.line, "[2001:db8:7f01::53]:53")
	local := m.answerDNS(t, m.line, "[fe80::1%line0]:53")
	other := m.answerDNS(t, m.lan, "192.168.1.53:53")
	dir := t.TempDir()
	var index int
	m.gw.Do(func() {
		if link, err := netlink.LinkByName("eth1"); err == nil {
			index = link.Attrs().Index
		}
	})
	if err := os.MkdirAll(filepath.Join(dir, "run/systemd/netif/links"), 0o755); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[string]string{
		"OPER_STATE=routable\nDNS=192.168.1.53 2001:db8:7f01::53#dns.example\n": "[192.168.1.1 2001:db8::80]<nil>",
		"DNS=fe80::1%9\n": "[192.168.1.1 2001:db8::80]<nil>",
		"DNS=[2001:db8:7f01::53]:53%9#dns.example\n": "[192.168.1.1 2001:db8::80]<nil>",
		"DNS=\nDOMAINS=\n":                           "[]the line names no resolver",
		"DNS=192.168.1.53 why\n":                     "[]the line names no resolver",
	} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("run/systemd/netif/links/", index)), []byte(state), 0o644); err != nil {
			t.Fatal(err)
		}
		var out []byte
		var err error
		m.gw.Do(func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), inside+"=eth1", inside+"_ROOT="+dir)
			out, err = cmd.CombinedOutput()
		})
		if got := strings.TrimSpace(strings.ReplaceAll(string(out), "] ", "]")); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", state, got, err, want)
		}
	}
	if home.Load() == 0 || local.Load() == 0 || other.Load() > 0 {
		t.Errorf("%d, %d and %d questions", home.Load(), local.Load(), other.Load())
	}
}

// answerDNS has a resolver that knows the home gateway, and counts what it is asked.
func (m *machine) answerDNS(t *testing.T, n ns, address string) *atomic.Int32 {
	t.Helper()
	var conn net.PacketConn
	var err error
	n.Do(func() { conn, err = net.ListenPacket("udp", address) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	asked := new(atomic.Int32)
	go func() {
		b := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			asked.Add(1)
			var q dnsmessage.Message
			if q.Unpack(b[:size]) != nil || len(q.Questions) != 1 || q.Questions[0].Name.String() != symptom.HomeName+"." {
				continue
			}
			header := dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: q.Questions[0].Class, TTL: 60}
			q.Response, q.RecursionAvailable, q.Additionals = true, true, nil
			switch q.Questions[0].Type {
			case dnsmessage.TypeA:
				q.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{192, 168, 1, 1}}}}
			case dnsmessage.TypeAAAA:
				q.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 0x80}}}}
			}
			if answer, err := q.Pack(); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return asked
}

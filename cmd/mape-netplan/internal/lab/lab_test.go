package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// byHand makes the gateway with nothing but ip and nft: the tunnel, the
// address it needs, the route, and a naive SNAT to the first of the ranges.
const byHand = `set -e
sysctl -qw net.ipv4.ip_forward=1
ip -6 address add 2400:4050:5c71:af00:99:f171:c600:2f00/128 dev eth1 preferred_lft 0 nodad
ip link add hand type ip6tnl mode ipip6 local 2400:4050:5c71:af00:99:f171:c600:2f00 remote 2001:380:a120::9 encaplimit none hoplimit 64
ip link set hand mtu 1460 up
ip route add default dev hand
nft 'table ip hand { chain post { type nat hook postrouting priority srcnat; oifname hand meta l4proto { tcp, udp, icmp } snat to 153.241.113.198:1776-1791; }; }'
`

// TestLab proves the laboratory itself: a gateway set up by hand passes, and
// what is wrong is caught. It takes a machine of its own for what TestRelay and the gateway's own tests see as well, so
// that it runs with MAPE_CI_FULL=1 only. $MAPE_LAB lists the Debian releases to run it on and adds a reboot.
func TestLab(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a virtual machine, which takes minutes")
	}
	Require(t)
	releases := os.Getenv("MAPE_LAB")
	if releases == "" && os.Getenv("MAPE_CI_FULL") != "1" {
		t.Skip("boots a virtual machine of its own, with MAPE_CI_FULL=1")
	}
	if releases == "" {
		releases = "bookworm"
	}
	for release := range strings.SplitSeq(releases, ",") {
		t.Run(release, func(t *testing.T) { testLab(t, release) })
	}
}

func testLab(t *testing.T, release string) {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	network, vm := boot(ctx, t, release)
	begin := time.Now()
	must(ctx, t, vm, byHand)
	useLAN(ctx, t, network)
	r := network.Relay.Report()
	t.Logf("by hand: %d packets, %d missed, in %s", r.Packets, r.Missed, time.Since(begin).Round(time.Millisecond))
	if r.Packets < 20 || r.Wrong != 0 || r.DstOpt != 0 || r.Missed != 0 {
		t.Errorf("gateway set up by hand: %+v", r)
	}

	expect := func(what, reason string, counted func(Report) int) {
		t.Helper()
		r := network.Relay.Report()
		network.Relay.Reset()
		if counted(r) == 0 || len(r.Examples) == 0 || !strings.Contains(r.Examples[0], reason) {
			t.Errorf("%s: want %q, got %+v", what, reason, r)
		}
	}
	network.Relay.Reset()
	if err := network.Relay.Inject(UDP(netip.AddrPortFrom(Stranger, 9), netip.AddrPortFrom(shared, 1776), []byte("hello"))); err != nil {
		t.Error(err)
	}
	time.Sleep(time.Second)
	expect("unsolicited packet", "sent back", func(r Report) int { return r.SentBack })
	must(ctx, t, vm, "ip link change hand type ip6tnl mode ipip6 local 2400:4050:5c71:af00:99:f171:c600:2f00 remote 2001:380:a120::9 encaplimit 4")
	network.LAN.Output(ctx, "ping", "-c", "2", "-W", "1", Servers[1])
	expect("encapsulation limit", "destination options", func(r Report) int { return r.DstOpt })
	must(ctx, t, vm, "ip link change hand type ip6tnl mode ipip6 local 2400:4050:5c71:af00:99:f171:c600:2f00 remote 2001:380:a120::9 encaplimit none; nft flush ruleset")
	network.LAN.Output(ctx, "ping", "-c", "2", "-W", "1", Servers[2])
	expect("no translation", "inner source "+Host, func(r Report) int { return r.Wrong })

	if os.Getenv("MAPE_LAB") == "" {
		return // the gateway's own test reboots its machines
	}
	must(ctx, t, vm, "touch /root/kept")
	begin = time.Now()
	if err := vm.Reboot(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("reboot: %s", time.Since(begin).Round(time.Second))
	must(ctx, t, vm, "test -e /root/kept && ! ip link show hand")
}

// boot starts a laboratory that ends with the test, and waits for cloud-init.
func boot(ctx context.Context, t *testing.T, release string) (*Network, *VM) {
	begin := time.Now()
	image, err := BuildImage(ctx, release)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("image: %s", time.Since(begin).Round(time.Second))
	network, err := NewNetwork(Announce{Prefix: netip.MustParsePrefix("2400:4050:5c71:af00::/56"), Autonomous: true}, softwire)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { network.Close() })
	begin = time.Now()
	vm, err := Boot(ctx, image, network, Seed{
		NetworkConfig: ProxmoxNetwork(netip.MustParsePrefix("2400:4050:5c71:af00::5/64"), netip.Addr{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("console:\n%s", vm.Console())
		}
		vm.Close()
	})
	if err := vm.WaitSSH(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("ssh: %s", time.Since(begin).Round(time.Second))
	result, err := vm.WaitCloudInit(ctx)
	if err != nil || !strings.Contains(result, `"errors": []`) {
		t.Fatalf("cloud-init: %v\n%s", err, result)
	}
	t.Logf("cloud-init: %s", time.Since(begin).Round(time.Second))
	return network, vm
}

// must runs a command in the machine that has to succeed.
func must(ctx context.Context, t *testing.T, vm *VM, command string) {
	t.Helper()
	stdout, stderr, exit, err := vm.Run(ctx, command)
	if err != nil || exit != 0 {
		t.Fatalf("%s\nexit %d, %v\n%s%s", command, exit, err, stdout, stderr)
	}
}

// useLAN is what people do: pages, datagrams, ping, traceroute.
func useLAN(ctx context.Context, t *testing.T, network *Network) {
	t.Helper()
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: network.LAN.Dial}}
	for path, want := range map[string]int{"": 0, "300000": 300000} {
		resp, err := client.Get("http://" + Servers[0] + "/" + path)
		if err != nil {
			t.Errorf("page: %v", err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || (want != 0 && len(body) != want) {
			t.Errorf("page of %d bytes: got %d, %v", want, len(body), err)
		}
		if from, err := netip.ParseAddrPort(string(body)); want == 0 && (err != nil || from.Addr() != shared || !softwire.InSet(from.Port())) {
			t.Errorf("the server saw %q, want a port of the set on %s", body, shared)
		}
	}
	for _, size := range []int{1, 1400, 3000} {
		if err := echo(ctx, network, size); err != nil {
			t.Errorf("datagram of %d bytes: %v", size, err)
		}
	}
	if _, err := network.LAN.Output(ctx, "ping", "-c", "3", "-i", "0.2", "-W", "10", Servers[1]); err != nil {
		t.Error(err)
	}
	out, err := network.LAN.Output(ctx, "traceroute", "-n", "-q", "1", "-w", "10", "-m", "5", Servers[2])
	for _, hop := range []string{Gateway, "100.64.0.1", Servers[2]} {
		if err != nil || !strings.Contains(out[strings.Index(out, "\n")+1:], hop) {
			t.Errorf("traceroute does not show %s: %v\n%s", hop, err, out)
		}
	}
}

// echo sends a datagram from the LAN host and wants it back.
func echo(ctx context.Context, network *Network, size int) error {
	conn, err := network.LAN.Dial(ctx, "udp", Servers[0]+":7")
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write(make([]byte, size)); err != nil {
		return err
	}
	n, err := conn.Read(make([]byte, 65536))
	if err == nil && n != size {
		err = fmt.Errorf("%d bytes came back", n)
	}
	return err
}

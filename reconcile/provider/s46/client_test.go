package s46_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/provider/s46"
	"mape-netplan/reconcile/provider/s46/s46test"
)

// A rig is a client and a server, each in a namespace, on one link.
type rig struct {
	client, server *hosttest.NS
	s46.Client
}

var duid = []byte{0, 3, 0, 1, 2, 0, 0, 0, 0, 1}

func newRig(t *testing.T) *rig {
	r := &rig{client: hosttest.NewNS(t), server: hosttest.NewNS(t)}
	for _, ns := range []*hosttest.NS{r.client, r.server} {
		hosttest.Sysctl(t, ns, map[string]string{"ipv6/conf/default/accept_dad": "0", "ipv6/conf/default/dad_transmits": "0"})
	}
	hosttest.Veth(t, r.client, "c1", "", r.server, "k1", "2001:db8:1::1/64")
	s46test.LinkLocal(t, r.server, "k1") // Without it the kernel sends no reply.
	r.Index, r.Source = s46test.LinkLocal(t, r.client, "c1")
	r.NS, r.DUID = r.client.FD(), duid
	r.Limits = s46.Limits{First: 5 * time.Second, Total: time.Minute}
	return r
}

type reply = s46test.Reply

// serve answers the n-th request, counted from 1. Every request is checked.
func (r *rig) serve(t *testing.T, answer func(request []byte, n int) []reply) {
	t.Helper()
	var first []byte
	last := -1
	s46test.Serve(t, r.server, "k1", func(request []byte, port, n int) []reply {
		elapsed := checkRequest(t, request)
		if first == nil {
			first = request[:4]
		}
		if port != 546 || !slices.Equal(request[:4], first) || elapsed < last || n == 1 && elapsed != 0 {
			t.Errorf("request %d from port %d is %x after %x, %d/100 s after %d/100 s", n, port, request[:4], first, elapsed, last)
		}
		last = elapsed
		return answer(request, n)
	})
}

// checkRequest holds a request to RFC 8415 section 18.2.6 and returns its elapsed time.
func checkRequest(t *testing.T, b []byte) (elapsed int) {
	t.Helper()
	elapsed = -1
	if b[0] != 11 {
		t.Errorf("message type %d", b[0])
	}
	var got []string
	for rest := b[4:]; len(rest) >= 4; rest = rest[4+binary.BigEndian.Uint16(rest[2:]):] {
		code, data := binary.BigEndian.Uint16(rest), rest[4:][:binary.BigEndian.Uint16(rest[2:])]
		if code == 8 {
			elapsed, data = int(binary.BigEndian.Uint16(data)), nil
		}
		got = append(got, fmt.Sprintf("%d:%x", code, data))
	}
	if want := fmt.Sprintf("1:%x 8: 6:%x", duid, "\x00\x40\x00\x5e\x00\x5f\x00\x60\x00\x6f\x00\x20\x00\x53"); strings.Join(got, " ") != want {
		t.Errorf("the options are %s, want %s", got, want)
	}
	return elapsed
}

var (
	mine   = option(1, hex.EncodeToString(duid))
	server = s46test.Server
	other  = option(1, "000300010200000000ee")
)

// TestAnswers is the client with servers that answer well, oddly and not at all.
func TestAnswers(t *testing.T) {
	t.Parallel()
	good := func(q []byte) []byte { return s46test.Message(7, q, mine, server, option(64, aftr)) }
	empty := func(q []byte) []byte {
		return s46test.Message(7, q, mine, server, option(23, strings.Repeat("20", 16)))
	}
	strange := func(q []byte) []reply {
		wrong := slices.Clone(q)
		wrong[3]++
		return []reply{{Data: nil}, {Data: []byte{7}}, {Data: q}, {Data: good(wrong)}, {Data: s46test.Message(2, q, mine, server, option(64, aftr))},
			{Data: s46test.Message(7, q, mine, option(64, aftr))}, {Data: s46test.Message(7, q, server, option(64, aftr))}, {Data: s46test.Message(7, q, other, server, option(64, aftr))},
			{Data: append(good(q), 0, 64, 0, 9)}, {Data: s46test.Message(10, q, mine, server)}}
	}
	const none = "no DHCPv6 server of the line answers"
	short := s46.Limits{Delay: time.Millisecond, First: 20 * time.Millisecond, Total: 200 * time.Millisecond}
	often := s46.Limits{First: 20 * time.Millisecond, Total: time.Minute}
	for _, test := range []struct {
		name   string
		limits s46.Limits
		answer func(q []byte, n int) []reply
		want   string
	}{
		{"at once", s46.Limits{}, func(q []byte, _ int) []reply { return []reply{{Data: good(q)}} }, "ds-lite a.b"},
		{"from another port", s46.Limits{}, func(q []byte, _ int) []reply { return []reply{{Elsewhere: true, Data: good(q)}} }, "ds-lite a.b"},
		{"the third request", often, func(q []byte, n int) []reply {
			if n < 3 {
				return nil
			}
			return []reply{{Data: good(q)}}
		}, "ds-lite a.b"},
		{"after others", s46.Limits{}, func(q []byte, _ int) []reply { return append(strange(q), reply{Data: good(q)}) }, "ds-lite a.b"},
		{"others alone", short, func(q []byte, _ int) []reply { return strange(q) }, none},
		{"silence", short, func([]byte, int) []reply { return nil }, none},
		{"after one without softwires", s46.Limits{}, func(q []byte, _ int) []reply { return []reply{{Data: empty(q)}, {Data: good(q)}} }, "ds-lite a.b"},
		{"without softwires alone", often, func(q []byte, _ int) []reply { return []reply{{Data: empty(q)}} }, ""},
		{"after a refusal", s46.Limits{}, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(13, "00016e6f"))}, {Data: good(q)}}
		}, "ds-lite a.b"},
		{"a refusal", often, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(13, "00011b6e6f"))}}
		}, `the server answers with status 1: "\x1bno"`},
		{"success is no refusal", s46.Limits{}, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(13, "0000"), option(64, aftr))}}
		}, "ds-lite a.b"},
		{"larger than a packet", s46.Limits{}, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(17, strings.Repeat("20", 9000)), option(64, aftr))}}
		}, "ds-lite a.b"},
		{"as large as UDP allows", s46.Limits{}, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(17, strings.Repeat("20", 64000)), option(64, aftr))}}
		}, "ds-lite a.b"},
		{"as large as a packet", s46.Limits{}, func(q []byte, _ int) []reply {
			return []reply{{Data: s46test.Message(7, q, mine, server, option(17, strings.Repeat("20", 1380)), option(64, aftr))}}
		}, "ds-lite a.b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if test.limits != (s46.Limits{}) {
				r.Limits = test.limits
			}
			r.serve(t, test.answer)
			got, err := r.Ask(t.Context())
			text := ""
			if err != nil {
				text = err.Error()
			} else {
				text = texts(got.Mechanisms)
			}
			if text != test.want {
				t.Errorf("%s, want %s", text, test.want)
			}
		})
	}
}

// TestFirewalled asks through a firewall that lets nothing in: the packet socket is before it.
func TestFirewalled(t *testing.T) {
	t.Parallel()
	hosttest.NeedTool(t, "nft")
	r := newRig(t)
	r.client.Exec(t, "nft", "add table ip6 f; add chain ip6 f i { type filter hook input priority 0; policy drop; }; add rule ip6 f i meta l4proto ipv6-icmp accept")
	r.serve(t, func(q []byte, _ int) []reply {
		return []reply{{Data: s46test.Message(7, q, mine, server, option(64, aftr))}}
	})
	if got, err := r.Ask(t.Context()); err != nil || texts(got.Mechanisms) != "ds-lite a.b" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestLinkGone is a link that is down, and one that goes while a question waits.
func TestLinkGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.serve(t, func(_ []byte, n int) []reply {
		if n == 1 {
			r.client.Try("ip", "link", "set", "c1", "down")
		}
		return nil
	})
	for _, when := range []string{"receive: ", "send to ff02::1:2: "} {
		if _, err := r.Ask(t.Context()); err == nil || !strings.HasPrefix(err.Error(), when) {
			t.Errorf("%v, want %s", err, when)
		}
	}
}

// TestKea asks the server of ISC while another socket has the client's port, as networkd's has, and gets its own replies.
func TestKea(t *testing.T) {
	t.Parallel()
	hosttest.NeedTool(t, "kea-dhcp6")
	r := newRig(t)
	r.kea(t)
	holder := s46test.UDP(t, r.client, unix.SockaddrInet6{Port: 546, ZoneId: uint32(r.Index), Addr: r.Source.As16()})
	asks := func(n byte) { // for DNS servers, option 23
		request := s46test.Message(11, []byte{0, n, n, n}, option(1, "000300010200000000dd"), option(8, "0000"), option(6, "0017"))
		if err := holder.Sendto(t.Context(), request, 0, &unix.SockaddrInet6{Port: 547, ZoneId: uint32(r.Index), Addr: s46test.Servers}); err != nil {
			t.Fatal(err)
		}
	}
	gets := func(n byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for b := make([]byte, 1500); ; {
			size, _, err := holder.Recvfrom(ctx, b, 0)
			if err != nil {
				t.Fatalf("the other socket has no reply to its request %d: %v", n, err)
			}
			if b[0] == 7 && b[1] == n && strings.Contains(string(b[:size]), "\x00\x17\x00\x10\x20\x01\x0d\xb8\x00\x53") {
				return
			}
		}
	}
	r.First = 20 * time.Millisecond
	if _, err := r.Ask(t.Context()); err != nil { // It may have been repeated until the server listened.
		t.Fatal(err)
	}
	for n := byte(1); n < 5; n++ {
		answered := make(chan error, 1)
		go func() {
			got, err := r.Ask(t.Context())
			want := "map-e 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::1 mesh; map-t 2001:db8::/40 192.0.2.0/24 16 6 - 2001:db8:ffff::/64; " +
				"lw4o6 192.0.2.18 2001:db8:12:3400::/56 {52 8 0} 2001:db8:ffff::2; ds-lite aftr.example.net"
			if err == nil && (texts(got.Mechanisms) != want || len(got.Ignored) > 0 || got.TTL() != 24*time.Hour) {
				err = fmt.Errorf("%s, ignored %q, for %v", texts(got.Mechanisms), got.Ignored, got.TTL())
			}
			answered <- err
		}()
		asks(n)
		gets(n)
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	asks(5)
	gets(5)
}

// kea starts the server until the test ends.
func (r *rig) kea(t *testing.T) {
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/kea6.json")
	if err != nil {
		t.Fatal(err)
	}
	var config struct{ Dhcp6 map[string]any }
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	config.Dhcp6["data-directory"] = dir
	config.Dhcp6["server-id"] = map[string]any{"type": "LL", "persist": false}
	if data, err = json.Marshal(config); err == nil {
		err = os.WriteFile(filepath.Join(dir, "kea.json"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd := exec.Command("kea-dhcp6", "-c", filepath.Join(dir, "kea.json"))
	cmd.Env = append(os.Environ(), "KEA_PIDFILE_DIR="+dir, "KEA_LOCKFILE_DIR=none")
	cmd.Stdout, cmd.Stderr = &said, &said
	r.server.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	// It notes its process when it has read its configuration, a moment before it listens.
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "kea.kea-dhcp6.pid")); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("kea-dhcp6 does not start")
		}
	}
}

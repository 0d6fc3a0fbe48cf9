package nat_test

import (
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
)

// TestRewrite: replacing the table over and over while packets pass breaks no connection and lets nothing wrong out.
func TestRewrite(t *testing.T) {
	t.Parallel()
	l := gatewaytest.NewRig(t, gatewaytest.NatKinds["ocn"])
	l.ServeUDP(t)
	l.ServeTCP(t)
	c, err := gatewaytest.Dial(l.Lan, gatewaytest.Server+":80", gatewaytest.Limit)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var received atomic.Int64
	go io.Copy(c, endless{})
	go io.Copy(counter{&received}, c)
	// Datagrams without answer: only that they leave rightly matters.
	datagrams := gatewaytest.Sockets(t, l.Lan, 1)[0]
	go func() {
		for i := 0; ; i++ {
			if i%10 == 0 {
				time.Sleep(2 * time.Millisecond) // or the download would starve
			}
			_, err := datagrams.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(gatewaytest.Server+":9"))
			if err != nil && !gatewaytest.IsRefused(err) {
				return
			}
		}
	}()
	go watch(l, t)
	times := 100
	if testing.Short() {
		times = 20
	}
	for i := range times {
		before := received.Load()
		if err := l.Table().Write(l.Conn); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(gatewaytest.Limit); received.Load() == before; {
			if time.Now().After(deadline) {
				t.Fatalf("the download stands after %d times", i)
			}
			time.Sleep(time.Millisecond)
		}
	}
	t.Logf("%d bytes", received.Load())
}

// watch reads the table until the line is gone: it must never be missing or half there.
func watch(l *gatewaytest.Rig, t *testing.T) {
	want := l.Table().Text()
	for ; t.Context().Err() == nil; time.Sleep(5 * time.Millisecond) {
		live, err := nft.Read(l.Conn, nat.Name)
		if t.Context().Err() == nil && (err != nil || live.Text() != want) {
			t.Errorf("a reader saw: %v\n%s", err, live.Text())
			return
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

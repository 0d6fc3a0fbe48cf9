package reconcile

import (
	"io"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"mape-netplan/reconcile/nft"
)

// TestRewrite: replacing the table a hundred times while packets pass breaks no connection and lets nothing wrong out.
func TestRewrite(t *testing.T) {
	l := newLine(t, natKinds["ocn"])
	l.serveUDP(t)
	l.serveTCP(t)
	c, err := dial(l.lan, server+":80", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var received atomic.Int64
	go io.Copy(c, endless{})
	go io.Copy(counter{&received}, c)
	// Datagrams without answer: only that they leave rightly matters.
	datagrams := sockets(t, l.lan, 1)[0]
	go func() {
		for i := 0; ; i++ {
			if i%10 == 0 {
				time.Sleep(2 * time.Millisecond) // or the download would starve
			}
			_, err := datagrams.WriteToUDPAddrPort([]byte("x"), netip.MustParseAddrPort(server+":9"))
			if err != nil && !isRefused(err) {
				return
			}
		}
	}()
	go l.watch(t)
	for i := range 100 {
		before := received.Load()
		if err := l.table().Write(l.conn); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); received.Load() == before; {
			if time.Now().After(deadline) {
				t.Fatalf("the download stands after %d times", i)
			}
			time.Sleep(time.Millisecond)
		}
	}
	t.Logf("%d bytes", received.Load())
}

// watch reads the table until the line is gone: it must never be missing or half there.
func (l *line) watch(t *testing.T) {
	want := l.table().Text()
	for ; t.Context().Err() == nil; time.Sleep(5 * time.Millisecond) {
		live, err := nft.Read(l.conn, tableName)
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

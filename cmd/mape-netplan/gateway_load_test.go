package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// enough is how many packets the relay judges in a run before the machine is
// rebooted, none of which may be wrong.
const enough = 200_000

// load sends everything at once until the judge has seen enough.
func (g *guest) load() {
	ctx, cancel := context.WithTimeout(g.ctx, 15*time.Minute)
	defer cancel()
	begin, before := time.Now(), g.network.Relay.Report().Packets
	var lost, datagrams atomic.Int64
	var wait sync.WaitGroup
	for name, f := range map[string]func(n int) error{
		"upload":         func(n int) error { return g.upload(ctx, lab.Servers[n%6], 4<<20) },
		"another upload": func(n int) error { return g.upload(ctx, lab.Servers[(n+3)%6], 500_000) },
		"download":       func(n int) error { return g.download(ctx, lab.Servers[n%6], 1<<20) },
		"from outside":   func(int) error { return g.visit(ctx, 1<<20) },
		"ping": func(n int) error {
			_, err := g.network.LAN.Output(ctx, "ping", "-q", "-i", "0.05", "-c", "40", lab.Servers[n%6])
			return err
		},
		"datagrams": func(n int) error {
			few, err := g.datagrams(lab.Servers[n%6])
			lost.Add(int64(few))
			datagrams.Add(100)
			return err
		},
	} {
		wait.Go(func() {
			for n := 0; g.network.Relay.Report().Packets < enough; n++ {
				if err := f(n); err != nil {
					g.Errorf("%s: %v", name, err)
					return
				}
			}
		})
	}
	wait.Wait()
	r, took := g.network.Relay.Report(), time.Since(begin)
	g.Logf("%d packets judged, %d of them in %s: %.0f a second; %d of %d datagrams lost",
		r.Packets, r.Packets-before, took.Round(time.Second), float64(r.Packets-before)/took.Seconds(), lost.Load(), datagrams.Load())
	if r.Packets < enough {
		g.Errorf("the relay judged only %d packets", r.Packets)
	}
	g.judged()
}

// datagrams sends a hundred of all sizes to an echo, from a new socket, and
// returns how many did not come back.
func (g *guest) datagrams(server string) (lost int, err error) {
	conn, err := g.network.LAN.Dial(g.ctx, "udp4", server+":7")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buf := make([]byte, 2000)
	for range 100 {
		size := 1 + rand.IntN(1432)
		if _, err := conn.Write(buf[:size]); err != nil {
			return lost, err
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		if n, err := conn.Read(buf); err != nil || n != size {
			lost++
		}
	}
	if lost == 100 {
		err = fmt.Errorf("no datagram came back from %s", server)
	}
	return lost, err
}

// visit sends to a forwarded port from the internet what comes back.
func (g *guest) visit(ctx context.Context, size int64) error {
	conn, err := g.network.Inet.Dial(ctx, "tcp4", netip.AddrPortFrom(shared, 1778).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(make([]byte, size))
		sent <- err
	}()
	n, err := io.Copy(io.Discard, io.LimitReader(conn, size))
	if err == nil && n < size {
		err = fmt.Errorf("%d of %d bytes came back", n, size)
	}
	if err == nil {
		err = <-sent
	}
	return err
}

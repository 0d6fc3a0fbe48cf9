package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mape-netplan/cmd/mape-netplan/internal/lab"
)

// icmp: errors reach the sockets they are about, both ways, and what cannot be
// translated is refused.
func (g *guest) icmp() {
	g.closedPort()
	g.deadSocket()
	g.narrowPath()
	g.otherProtocols()
	g.judged()
}

// closedPort: the internet's error reaches the LAN host's socket.
func (g *guest) closedPort() {
	conn, err := g.network.LAN.Dial(g.ctx, "udp4", lab.Servers[1]+":9")
	if err != nil {
		g.Fatal(err)
	}
	defer conn.Close()
	if err := answer(conn); !errors.Is(err, unix.ECONNREFUSED) {
		g.Errorf("a closed UDP port on the internet: %v", err)
	}
}

// deadSocket: the LAN host's error quotes the port that the internet knows, or
// the socket there would not get it.
func (g *guest) deadSocket() {
	server := netip.AddrPortFrom(netip.MustParseAddr(lab.Servers[1]), 4000)
	there, err := g.network.Inet.ListenUDP(server)
	if err != nil {
		g.Fatal(err)
	}
	here, err := g.network.LAN.Dial(g.ctx, "udp4", server.String())
	if err != nil {
		g.Fatal(err)
	}
	here.Write([]byte("x"))
	there.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, back, err := there.ReadFromUDPAddrPort(make([]byte, 10))
	here.Close()
	there.Close()
	if err != nil {
		g.Fatal(err)
	}
	err = g.network.Inet.Do(func() error {
		there, err = net.DialUDP("udp4", net.UDPAddrFromAddrPort(server), net.UDPAddrFromAddrPort(back))
		return err
	})
	if err != nil {
		g.Fatal(err)
	}
	defer there.Close()
	if err := answer(there); !errors.Is(err, unix.ECONNREFUSED) {
		g.Errorf("a closed UDP socket on the LAN: %v", err)
	}
}

// answer sends something and returns the error that comes back.
func answer(conn net.Conn) error {
	if _, err := conn.Write(make([]byte, 32)); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, err := conn.Read(make([]byte, 100))
	return err
}

// narrowPath: where the network behind the relay carries less than the tunnel,
// the LAN host learns it, and whole pages pass in both directions.
func (g *guest) narrowPath() {
	server := lab.Servers[4]
	if err := g.network.NarrowPath(server, 1400); err != nil {
		g.Fatal(err)
	}
	if err := g.upload(g.ctx, server, 1<<20); err != nil {
		g.Error(err)
	}
	if err := g.download(g.ctx, server, 1<<20); err != nil {
		g.Error(err)
	}
	out, err := g.network.LAN.Output(g.ctx, "ip", "route", "get", server)
	if err != nil || !strings.Contains(out, "mtu 1400") {
		g.Errorf("the LAN host's path MTU: %v\n%s", err, out)
	}
}

// client is a web browser on the LAN host. It connects anew for every page.
func (g *guest) client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: g.network.LAN.Dial, DisableKeepAlives: true}}
}

func (g *guest) upload(ctx context.Context, server string, size int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+server+"/", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		return err
	}
	body, err := g.page(req)
	if err == nil && string(body) != fmt.Sprint(size) {
		err = fmt.Errorf("upload to %s: %q of %d bytes arrived", server, body, size)
	}
	return err
}

func (g *guest) download(ctx context.Context, server string, size int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/%d", server, size), nil)
	if err != nil {
		return err
	}
	body, err := g.page(req)
	if err == nil && len(body) != size {
		err = fmt.Errorf("download from %s: %d of %d bytes arrived", server, len(body), size)
	}
	return err
}

func (g *guest) page(req *http.Request) ([]byte, error) {
	resp, err := g.client().Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// otherProtocols: what has no ports is answered with protocol unreachable. Had
// it left, the judge would have found it wrong.
func (g *guest) otherProtocols() {
	for _, protocol := range []string{"gre", "esp"} {
		conn, err := g.network.LAN.Dial(g.ctx, "ip4:"+protocol, lab.Servers[5])
		if err != nil {
			g.Fatal(err)
		}
		defer conn.Close()
		if err := answer(conn); !errors.Is(err, unix.ENOPROTOOPT) {
			g.Errorf("%s to the internet: %v", protocol, err)
		}
	}
}

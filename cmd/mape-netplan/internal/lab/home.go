package lab

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

// The home gateway is, under the name ntt.setup, a server that tells if it is
// the line's IPv4 router itself.
var homeServer = netip.MustParseAddr("2001:db8:7f01::80")

// HomeGateway puts one on the line that says a status: ON or OFF.
func (n *Network) HomeGateway(status string) error {
	if n.home != nil {
		n.home.Close()
	}
	n.Resolver.Know("ntt.setup", homeServer)
	return n.serveHTTP(netip.AddrPortFrom(homeServer, 8888), &n.home, func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/enabler.ipv4/check" || req.Host != "ntt.setup:8888" {
			http.NotFound(w, req)
			return
		}
		fmt.Fprintf(w, `%s({"name":"home","version":"1.0","status":"%s"})`, req.URL.Query().Get("callback"), status)
	})
}

// serveHTTP serves on an address of the line, until the listener or the network is closed.
func (n *Network) serveHTTP(at netip.AddrPort, l *net.Listener, answer http.HandlerFunc) error {
	if err := n.WAN.address("lo", netip.PrefixFrom(at.Addr(), 128).String()); err != nil {
		return err
	}
	return n.WAN.Do(func() (err error) {
		if *l, err = net.Listen("tcp6", at.String()); err != nil {
			return err
		}
		n.closers = append(n.closers, *l)
		go http.Serve(*l, answer)
		return nil
	})
}

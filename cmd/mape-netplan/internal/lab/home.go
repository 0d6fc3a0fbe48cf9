package lab

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"

	"golang.org/x/net/dns/dnsmessage"
)

// The home gateway is a resolver of the line and, under the name ntt.setup, a
// server that tells if it is the line's IPv4 router itself.
var (
	HomeResolver = netip.MustParseAddr("2001:db8:7f01::53")
	homeServer   = netip.MustParseAddr("2001:db8:7f01::80")
)

// HomeGateway puts one on the line that says a status: ON or OFF.
func (n *Network) HomeGateway(status string) error {
	for _, a := range []netip.Addr{HomeResolver, homeServer} {
		if err := n.WAN.address("lo", a.String()+"/128"); err != nil {
			return err
		}
	}
	if n.home != nil {
		n.home.Close()
	}
	return n.WAN.Do(func() error {
		l, err := net.Listen("tcp6", netip.AddrPortFrom(homeServer, 8888).String())
		if err != nil {
			return err
		}
		n.home = l
		n.closers = append(n.closers, l)
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.URL.Path != "/enabler.ipv4/check" || req.Host != "ntt.setup:8888" {
				http.NotFound(w, req)
				return
			}
			fmt.Fprintf(w, `%s({"name":"home","version":"1.0","status":"%s"})`, req.URL.Query().Get("callback"), status)
		}))
		if n.resolver != nil {
			return nil
		}
		if n.resolver, err = net.ListenPacket("udp6", netip.AddrPortFrom(HomeResolver, 53).String()); err != nil {
			return err
		}
		n.closers = append(n.closers, n.resolver)
		go answerUDP(n.resolver, func(_ net.Addr, question []byte) []byte { return resolve(question) })
		return nil
	})
}

// resolve answers a question of DNS: ntt.setup has an IPv6 address, and there
// is nothing else in the world.
func resolve(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	switch {
	case q.Name.String() != "ntt.setup.":
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeAAAA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AAAAResource{AAAA: homeServer.As16()},
		}}
	}
	answer, _ := m.Pack()
	return answer
}

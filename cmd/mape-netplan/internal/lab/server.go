package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// Servers are the addresses of the internet's servers. Each answers ping and has
//
//	TCP 7     echo
//	TCP 80    HTTP: / says the client's address, /N sends N bytes; POST says how many bytes came
//	UDP 7     echo
//	UDP 3478  says the client's address
var Servers = []string{"203.0.113.10", "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14", "203.0.113.15"}

// serve starts the servers inside the namespace; closing what it returns ends them.
func serve(inet *Namespace) (all []io.Closer, err error) {
	err = inet.Do(func() error {
		for _, port := range []string{"7", "80"} {
			l, err := net.Listen("tcp4", ":"+port)
			if err != nil {
				return err
			}
			all = append(all, l)
			if port == "80" {
				go http.Serve(l, http.HandlerFunc(page))
			} else {
				go answerTCP(l, func(c net.Conn) { io.Copy(c, c) })
			}
		}
		// One socket per address: an answer must leave from where the question went.
		for _, server := range Servers {
			for _, port := range []string{"7", "3478"} {
				c, err := net.ListenPacket("udp4", net.JoinHostPort(server, port))
				if err != nil {
					return err
				}
				all = append(all, c)
				answer := func(_ net.Addr, question []byte) []byte { return question }
				if port == "3478" {
					answer = func(from net.Addr, _ []byte) []byte { return []byte(from.String()) }
				}
				go answerUDP(c, answer)
			}
		}
		return nil
	})
	return all, err
}

// Say serves on a TCP and on a UDP port of the LAN host until Close: to each
// client it says which port it is and which address it sees; over TCP it echoes after that.
// A connection that was cut off stays silent: nothing keeps it alive.
func (n *Network) Say(port uint16) error {
	say := func(from net.Addr) []byte { return fmt.Appendf(nil, "lan:%d %s\n", port, from) }
	packets, err := n.LAN.ListenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	if err != nil {
		return err
	}
	n.closers = append(n.closers, packets)
	go answerUDP(packets, func(from net.Addr, _ []byte) []byte { return say(from) })
	return n.LAN.Do(func() error {
		l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		n.closers = append(n.closers, l)
		go answerTCP(l, func(c net.Conn) {
			c.Write(say(c.RemoteAddr()))
			io.Copy(c, c)
		})
		return nil
	})
}

func answerTCP(l net.Listener, answer func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			answer(c)
		}()
	}
}

func page(w http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodPost {
		n, _ := io.Copy(io.Discard, req.Body)
		fmt.Fprint(w, n)
		return
	}
	n, err := strconv.Atoi(req.URL.Path[1:])
	if err != nil {
		io.WriteString(w, req.RemoteAddr)
		return
	}
	w.Write(make([]byte, n))
}

func answerUDP(c net.PacketConn, answer func(from net.Addr, question []byte) []byte) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if a := answer(from, buf[:n]); a != nil {
			c.WriteTo(a, from)
		}
	}
}

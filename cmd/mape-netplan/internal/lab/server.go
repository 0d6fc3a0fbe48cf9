package lab

import (
	"io"
	"net"
	"net/http"
	"strconv"
)

// Servers are the addresses of the internet's servers. Each answers ping and has
//
//	TCP 7     echo
//	TCP 80    HTTP: / says the client's address, /N sends N bytes
//	UDP 7     echo
//	UDP 3478  says the client's address
var Servers = []string{"203.0.113.10", "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.14", "203.0.113.15"}

// serve starts the servers inside the namespace; closing what it returns ends them.
func serve(inet *Namespace) (closers []io.Closer, err error) {
	err = inet.Do(func() error {
		for _, port := range []string{"7", "80"} {
			l, err := net.Listen("tcp4", ":"+port)
			if err != nil {
				return err
			}
			closers = append(closers, l)
			if port == "80" {
				go http.Serve(l, http.HandlerFunc(page))
			} else {
				go echoTCP(l)
			}
		}
		// One socket per address: an answer must leave from where the question went.
		for _, server := range Servers {
			for _, port := range []string{"7", "3478"} {
				c, err := net.ListenPacket("udp4", net.JoinHostPort(server, port))
				if err != nil {
					return err
				}
				closers = append(closers, c)
				go answerUDP(c, port == "3478")
			}
		}
		return nil
	})
	return closers, err
}

func echoTCP(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, c)
		}()
	}
}

func page(w http.ResponseWriter, req *http.Request) {
	n, err := strconv.Atoi(req.URL.Path[1:])
	if err != nil {
		io.WriteString(w, req.RemoteAddr)
		return
	}
	w.Write(make([]byte, n))
}

func answerUDP(c net.PacketConn, who bool) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		answer := buf[:n]
		if who {
			answer = []byte(from.String())
		}
		c.WriteTo(answer, from)
	}
}

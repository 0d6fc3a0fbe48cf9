package lab

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
)

// A Registration is a request that the provider of a fixed address has received.
type Registration struct {
	From                             netip.Addr // whose address is registered
	Host, Path, Query, Authorization string
}

// Registrar is the provider's server to which a fixed address is registered.
type Registrar struct {
	mu     sync.Mutex
	status int // 0 for silence
	body   string
	seen   []Registration
}

// RegistrarAddress is where it is, on port 80.
var RegistrarAddress = netip.MustParseAddr("2001:db8:7f02::80")

// register starts the registrar, which says OK.
func (n *Network) register() error {
	n.Registrar = &Registrar{status: http.StatusOK, body: "OK"}
	return n.serveHTTP(netip.AddrPortFrom(RegistrarAddress, 80), new(net.Listener), n.Registrar.answer)
}

// Say changes the answer; with status 0 the server sends nothing.
func (r *Registrar) Say(status int, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.body = status, body
}

// Seen is what has been received so far.
func (r *Registrar) Seen() []Registration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen)
}

func (r *Registrar) answer(w http.ResponseWriter, req *http.Request) {
	from, _ := netip.ParseAddrPort(req.RemoteAddr)
	r.mu.Lock()
	status, body := r.status, r.body
	r.seen = append(r.seen, Registration{from.Addr(), req.Host, req.URL.Path, req.URL.RawQuery, req.Header.Get("Authorization")})
	r.mu.Unlock()
	if status == 0 {
		<-req.Context().Done()
		return
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

// Package hb46pptest is a line for tests: a resolver and provisioning servers on [::1], which say and do what they are
// told to, however wrong.
package hb46pptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// Name is where the record is.
const Name = "4over6.info."

// A Line is a resolver and servers.
type Line struct {
	Resolver netip.AddrPort
	CA       *x509.Certificate
	Key      *ecdsa.PrivateKey

	t     testing.TB
	mu    sync.Mutex
	zone  map[string][]dnsmessage.ResourceBody // by rooted name
	rcode dnsmessage.RCode                     // instead of an answer
	asked []*url.URL                           // of every server, in order
	txts  int                                  // questions for the record
}

// New starts a resolver that knows vne.example.jp and other.example.jp, both at [::1].
func New(t testing.TB) *Line { return NewAt(t, "[::1]:0") }

// NewAt is New with the resolver at an address of the caller's namespace.
func NewAt(t testing.TB, address string) *Line {
	l := &Line{t: t, zone: map[string][]dnsmessage.ResourceBody{}}
	l.CA, l.Key = Authority(t)
	l.Resolver = l.resolver(address)
	for _, name := range []string{"vne.example.jp.", "other.example.jp."} {
		l.Set(name, &dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()})
	}
	return l
}

// Roots trust the line's authority alone.
func (l *Line) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(l.CA)
	return pool
}

// Asked are the requests that its servers had so far, in order.
func (l *Line) Asked() []*url.URL {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// Questions is how often the record was asked for.
func (l *Line) Questions() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.txts
}

// resolver answers over UDP from the zone.
func (l *Line) resolver(address string) netip.AddrPort {
	conn, err := net.ListenPacket("udp6", address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if answer := l.resolve(buffer[:n]); answer != nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// Mute does not answer.
const Mute = dnsmessage.RCode(0xfff)

func (l *Line) resolve(query []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 || l.rcode == Mute {
		return nil
	}
	q := m.Questions[0]
	if q.Type == dnsmessage.TypeTXT {
		l.txts++
	}
	m.Response, m.RecursionAvailable, m.RCode, m.Additionals = true, true, l.rcode, nil
	bodies, known := l.zone[strings.ToLower(q.Name.String())]
	if !known && m.RCode == dnsmessage.RCodeSuccess {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, b := range bodies {
		if _, ok := b.(*dnsmessage.TXTResource); m.RCode == dnsmessage.RCodeSuccess && ok == (q.Type == dnsmessage.TypeTXT) {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}, Body: b})
		}
	}
	answer, err := m.Pack()
	if err != nil {
		l.t.Error(err)
	}
	return answer
}

// TXT makes the record, or several of them.
func (l *Line) TXT(records ...string) {
	var all []dnsmessage.ResourceBody
	for _, r := range records {
		all = append(all, &dnsmessage.TXTResource{TXT: []string{r[:len(r)/2], r[len(r)/2:]}}) // in two strings: they are joined
	}
	l.Set(Name, all...)
}

// Set gives a name its records; without any it is there and has none.
func (l *Line) Set(name string, all ...dnsmessage.ResourceBody) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.zone[name] = all
}

// Fail makes the resolver answer with a code, or not at all (Mute).
func (l *Line) Fail(rcode dnsmessage.RCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rcode = rcode
}

// Serve starts a server with a certificate, or without one for nil, and returns where it is: "https://vne.example.jp:1234".
func (l *Line) Serve(certificate *tls.Certificate, h http.HandlerFunc) string {
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		l.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		u := *r.URL
		u.Host = r.Host
		l.asked = append(l.asked, &u)
		l.mu.Unlock()
		h(w, r)
	}))
	s.Listener.Close()
	s.Listener = listener
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	l.t.Cleanup(s.Close)
	if certificate == nil {
		s.Start()
		return "http://vne.example.jp:" + port
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	s.StartTLS()
	return "https://vne.example.jp:" + port
}

// Good serves a reply with a good certificate.
func (l *Line) Good(body string) string {
	return l.Serve(l.Certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) })
}

// Authority makes a certificate authority.
func Authority(t testing.TB) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err = x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ca, key
}

// Certificate is one of the line's authority for a name.
func (l *Line) Certificate(name string) *tls.Certificate {
	return l.CertificateFrom(l.CA, l.Key, name, time.Now().Add(time.Hour))
}

// CertificateFrom is one of any authority, good for a day until a time.
func (l *Line) CertificateFrom(ca *x509.Certificate, key *ecdsa.PrivateKey, name string, until time.Time) *tls.Certificate {
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		l.t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.Add(-24 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, ca, &own.PublicKey, key)
	if err != nil {
		l.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
}

package hb46pp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// A line is a resolver and provisioning servers on [::1], and a client that knows of them.
type line struct {
	t      *testing.T
	client Client
	ca     *x509.Certificate
	key    *ecdsa.PrivateKey

	mu    sync.Mutex
	zone  map[string][]dnsmessage.ResourceBody // by rooted name
	rcode dnsmessage.RCode                     // instead of an answer
	asked []*url.URL                           // of every server, in order
}

func newLine(t *testing.T) *line {
	l := &line{t: t, zone: map[string][]dnsmessage.ResourceBody{}}
	l.ca, l.key = authority(t)
	l.client = Client{
		Servers: []netip.AddrPort{l.resolver()}, Interface: "lo", Roots: x509.NewCertPool(), Loopback: true,
		Limits: Limits{DNS: 300 * time.Millisecond, Server: time.Second, Total: 3 * time.Second, Body: 1 << 20},
	}
	l.client.Roots.AddCert(l.ca)
	for _, name := range []string{"vne.example.jp.", "other.example.jp."} {
		l.set(name, &dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()})
	}
	return l
}

// resolver answers over UDP from the zone.
func (l *line) resolver() netip.AddrPort {
	conn, err := net.ListenPacket("udp6", "[::1]:0")
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

const mute = dnsmessage.RCode(0xfff) // no answer at all

func (l *line) resolve(query []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 || l.rcode == mute {
		return nil
	}
	q := m.Questions[0]
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

// txt makes the record, or several of them.
func (l *line) txt(records ...string) {
	var all []dnsmessage.ResourceBody
	for _, r := range records {
		all = append(all, &dnsmessage.TXTResource{TXT: []string{r[:len(r)/2], r[len(r)/2:]}}) // in two strings: they are joined
	}
	l.set(Name, all...)
}

func (l *line) set(name string, all ...dnsmessage.ResourceBody) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.zone[name] = all
}

func (l *line) fail(rcode dnsmessage.RCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rcode = rcode
}

// serve starts a server with a certificate, or without one for nil, and returns where it is: "https://vne.example.jp:1234".
func (l *line) serve(certificate *tls.Certificate, h http.HandlerFunc) string {
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
	s.Config.ErrorLog = quiet
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

// good serves a reply with a good certificate.
func (l *line) good(body string) string {
	return l.serve(l.certificate("vne.example.jp"), func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(body)) })
}

func (l *line) ask(q Question) (Answer, error) {
	l.t.Helper()
	if q.VendorID == "" {
		q.Identity = Self("v1.4.2")
	}
	answer, err := l.client.Ask(context.Background(), q)
	if failure := (*Failure)(nil); err != nil && !errors.As(err, &failure) {
		l.t.Errorf("%v is no Failure", err)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		l.t.Errorf("the error tells the password: %v", err)
	}
	return answer, err
}

// wantFailure asks and compares the whole of what is said. PORT stands for any.
func (l *line) wantFailure(event Event, want string) {
	l.t.Helper()
	_, err := l.ask(Question{})
	var failure *Failure
	if !errors.As(err, &failure) || failure.Event != event {
		l.t.Errorf("%#v is no failure of kind %v", err, event)
	}
	if err != nil {
		wantError(l.t, errors.New(ports.ReplaceAllString(err.Error(), "example.jp:PORT")), want)
	}
}

func authority(t *testing.T) (*x509.Certificate, *ecdsa.PrivateKey) {
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

// certificate is one of the line's authority for a name.
func (l *line) certificate(name string) *tls.Certificate {
	return l.certificateFrom(l.ca, l.key, name, time.Now().Add(time.Hour))
}

func (l *line) certificateFrom(ca *x509.Certificate, key *ecdsa.PrivateKey, name string, until time.Time) *tls.Certificate {
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

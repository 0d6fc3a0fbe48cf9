package line

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"mape-netplan/reconcile/bind"
	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/provider/hb46pp"
	"mape-netplan/reconcile/provider/registration"
	"mape-netplan/schema"
)

const (
	// registerTime bounds a registration, connectTime the connection to the server.
	registerTime, connectTime = 20 * time.Second, 5 * time.Second
	// mostAnswer is what is read of an answer, in bytes, and mostRedirects how many of them are followed.
	mostAnswer, mostRedirects = 1 << 12, 3
)

// contract is that of a section; nil where it has none.
func contract(c *schema.Config) *registration.Contract {
	if c.IPIP == nil || c.IPIP.Registration == nil {
		return nil
	}
	r := registration.Contract(*c.IPIP.Registration)
	return &r
}

// NextRegistration is when the CE address is to be registered with the provider, as [NextDiscovery]: when it or the
// credentials have changed since the provider accepted it, after a failure, and once by a service that starts.
func (a *Asker) NextRegistration(l Line, f facts.Facts, now time.Time) time.Time {
	if l.Contract == nil || l.NoWAN != nil || !f.Live || !l.Softwire.Known() {
		return time.Time{}
	}
	if known := f.Announced; known.Of(l.Softwire.CE(), secretOf(l)) && !known.Asked.After(now) && (!a.AtStart || a.announced.Load() != nil) {
		return known.Next
	}
	return now
}

// LatestAnnouncement is what this process has registered, or kept, which is the file's, where another process asked later.
func (a *Asker) LatestAnnouncement(kept *discovery.Announcement) *discovery.Announcement {
	last := a.announced.Load()
	if last == nil || kept != nil && kept.Asked.After(last.Asked) {
		return kept
	}
	return last
}

// secretOf is all that a registration depends on besides the CE address.
func secretOf(l Line) string {
	c := l.Contract
	return strings.Join([]string{c.Provider, c.URL, c.User, c.Password}, "\x00")
}

// Register registers the CE address with the provider, which sends packets to no other machine from then on, and keeps the
// answer. That it is not accepted is a Problem in what is kept; an error is one of this machine, or the cause of the end of
// ctx.
func (a *Asker) Register(ctx context.Context, l Line, f facts.Facts) error {
	ce, secret := l.Softwire.CE(), secretOf(l)
	request, err := l.Contract.Request(ce)
	if err != nil {
		return err
	}
	known := f.Announced
	if !known.Of(ce, secret) {
		known = discovery.Announce(ce, request.Server(), secret)
	}
	client := a.client(l.WAN)
	limit := min(client.Total, registerTime)
	soon, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no complete answer within %v", limit))
	defer cancel()
	answer, failure := a.register(soon, client, request)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	known = known.After(answer, failure, time.Now(), func(failures int) time.Duration { return request.Pause(failures, rand.Float64) })
	a.announced.Store(known)
	return known.Keep(a.Host)
}

func (a *Asker) register(ctx context.Context, c hb46pp.Client, r registration.Request) (string, error) {
	for range mostRedirects + 1 {
		response, body, err := a.get(ctx, c, r)
		if err != nil {
			return "", err
		}
		if response.StatusCode/100 != 3 {
			return r.Judge(response.StatusCode, body)
		}
		if r, err = r.Follow(response.Header.Get("Location")); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("it redirects more than %d times", mostRedirects)
}

// get sends one request from the address that it is for. No error has anything of the request or of the answer's text.
func (a *Asker) get(ctx context.Context, c hb46pp.Client, r registration.Request) (*http.Response, string, error) {
	conn, err := a.connect(ctx, c, r)
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots},
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: mostAnswer,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL.String(), nil)
	if err != nil {
		return nil, "", errors.New("the URL is not valid")
	}
	request.Header.Set("User-Agent", "mape-netplan")
	if r.User != "" {
		request.SetBasicAuth(r.User, r.Password)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, "", withoutText(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer))
	if err != nil {
		return nil, "", withoutText(ctx, err)
	}
	return response, string(body), nil
}

// connect connects to the server over IPv6, whose name the line's resolvers are asked for: some are known on the line only.
func (a *Asker) connect(ctx context.Context, c hb46pp.Client, r registration.Request) (conn net.Conn, err error) {
	name := strings.TrimSuffix(r.URL.Hostname(), ".")
	address, err := netip.ParseAddr(name)
	all := discovery.Addresses{All: []netip.Addr{address}}
	if err != nil {
		if all, err = a.lookup(ctx, c, name); err != nil {
			return nil, err
		}
	}
	d := bind.Dialer(c.Interface)
	d.Timeout = min(c.Server, connectTime)
	if r.Source.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: r.Source.AsSlice()}
	}
	port := cmp.Or(r.URL.Port(), map[string]string{"http": "80", "https": "443"}[r.URL.Scheme])
	for _, to := range all.All {
		err = a.In(func() (err error) {
			conn, err = d.DialContext(ctx, "tcp6", net.JoinHostPort(to.String(), port))
			return err
		})
		if err == nil {
			return conn, nil
		}
	}
	return nil, causeOf(ctx, err)
}

// causeOf is the cause of the end of ctx in the place of an error that follows from it.
func causeOf(ctx context.Context, err error) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done() // A socket's timer may have fired a moment earlier.
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// withoutText is an error without what the server sent: it may send the credentials back.
func withoutText(ctx context.Context, err error) error {
	switch cause := causeOf(ctx, nil); {
	case cause != nil:
		return cause
	case errors.Is(err, io.EOF):
		return errors.New("the server closed the connection without an answer")
	case errors.As(err, new(*net.OpError)), errors.As(err, new(*tls.CertificateVerificationError)):
		return withoutPorts(err)
	}
	return errors.New("the server does not answer as HTTP servers do")
}

package symptom

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
)

// mostBody is the limit of an answer, in bytes.
const mostBody = 1 << 16

// fetch sends one request to an address. It dials before the transport does: that would dial in another goroutine, whose
// thread may be in another network namespace.
func fetch(ctx context.Context, d *net.Dialer, method, url string, to netip.AddrPort) (*http.Response, []byte, error) {
	conn, err := d.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	transport := &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: mostBody,
	}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	return resp, body, err
}

package hb46pp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mostHops bounds the redirections of one query. The specification has no bound; its example client follows 5.
const mostHops = 5

// fetch queries the server and follows its redirections (section 3.3).
func (c Client) fetch(ctx context.Context, r Record, q Question) (Answer, error) {
	transport := c.transport(r.Verify)
	defer transport.CloseIdleConnections()
	hop, origins := r.URL, []string(nil)
	for range mostHops + 1 {
		if !slices.Contains(origins, origin(hop)) {
			origins = append(origins, origin(hop))
		}
		response, err := c.get(ctx, transport, q.url(hop, r.Verify))
		if err != nil {
			return Answer{}, fmt.Errorf("%s: %w", shown(hop), causeOf(ctx, err))
		}
		if response.StatusCode != http.StatusTemporaryRedirect {
			answer, err := c.answer(response)
			if err != nil {
				return Answer{}, fmt.Errorf("%s: %w", shown(hop), causeOf(ctx, err))
			}
			answer.Token = Token{answer.Reply.token, origins, r.Verify}
			return answer, nil
		}
		response.Body.Close()
		next, err := follow(hop, response.Header.Get("Location"))
		if err != nil {
			return Answer{}, fmt.Errorf("%s: %w", shown(hop), err)
		}
		hop = next
	}
	return Answer{}, fmt.Errorf("%s: more than %d redirections (307), the last one to %s", shown(r.URL), mostHops, shown(hop))
}

// follow returns the target of a 307. After https it must be https, even if certificates are not checked.
func follow(hop *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, errors.New("307 without a Location")
	}
	next, err := hop.Parse(location)
	if err != nil {
		return nil, fmt.Errorf("307 to %s, which is not a URL", quote(location))
	}
	if err := checkURL(next); err != nil {
		return nil, fmt.Errorf("307 to another server: %w", err)
	}
	if hop.Scheme == "https" && next.Scheme != "https" {
		return nil, fmt.Errorf("307 to %s: a redirection from https must be to https", shown(next))
	}
	return next, nil
}

// transport connects over IPv6 only, without proxy, cookies, keep-alive, or compression, which could blow up a small
// answer.
func (c Client) transport(verify bool) *http.Transport {
	return &http.Transport{
		DialContext:            c.dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots, InsecureSkipVerify: !verify},
		TLSHandshakeTimeout:    c.Server,
		ResponseHeaderTimeout:  c.Server,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}
}

func (c Client) dial(ctx context.Context, _, hostport string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	all, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if e := c.checkTarget(a); e != nil {
			err = errors.Join(err, e)
			continue
		}
		conn, e := c.dialer().DialContext(ctx, "tcp6", net.JoinHostPort(a.String(), port))
		if e == nil {
			return conn, nil
		}
		err = errors.Join(err, e)
	}
	return nil, first(err)
}

// get sends one request. The error does not have the URL, which may contain a password.
func (c Client) get(ctx context.Context, transport *http.Transport, u *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the URL is not valid")
	}
	request.Header.Set("User-Agent", "mape-netplan")
	request.Header.Set("Accept", "application/json")
	response, err := transport.RoundTrip(request)
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("the server closed the connection without an answer")
	case err != nil && ctx.Err() == nil && isTimeout(err):
		err = fmt.Errorf("no answer within %v", c.Server)
	}
	return response, err
}

// answer reads a response that is not a redirection.
func (c Client) answer(response *http.Response) (Answer, error) {
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound:
		return Answer{}, fmt.Errorf("status %s: the server does not know this line's IPv6 address", status(response))
	default:
		return Answer{}, fmt.Errorf("status %s: the protocol allows only 200 and 307", status(response))
	}
	body, err := c.body(response)
	if err != nil {
		return Answer{}, err
	}
	reply, err := ParseReply(body)
	return Answer{Reply: reply, NoStore: noStore(response.Header)}, err
}

func status(r *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.StatusCode, http.StatusText(r.StatusCode)))
}

// body reads an answer of bounded length, at most one byte more.
func (c Client) body(response *http.Response) ([]byte, error) {
	tooLong := fmt.Errorf("the answer is longer than %d bytes", c.Body)
	if response.ContentLength > c.Body {
		return nil, tooLong
	}
	var b bytes.Buffer
	n, err := b.ReadFrom(io.LimitReader(response.Body, c.Body+1))
	if err != nil {
		return nil, fmt.Errorf("the answer is incomplete: %w", err)
	}
	if n > c.Body {
		return nil, tooLong
	}
	return b.Bytes(), nil
}

func noStore(h http.Header) bool {
	for _, line := range h.Values("Cache-Control") {
		for directive := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(directive), "no-store") {
				return true
			}
		}
	}
	return false
}

// Package hb46pp is a client of HB46PP, the HTTP-Based IPv4 over IPv6 Provisioning Protocol (v6mig-prov 1.1,
// github.com/v6pc/v6mig-prov), by which a line publishes its mapping rules.
//
// A TXT record at the line's own resolver names a server, and a GET over IPv6 fetches the rules from it. Neither is
// trusted: DNS is not authenticated, and a record may name a server whose certificate is not to be checked. Rules that
// pass the checks here are well-formed, but may be forged.
package hb46pp

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// Name is where the record is, rooted so that no search list applies (section 3.1).
const Name = "4over6.info."

// A Record has the address of the server.
type Record struct {
	URL *url.URL
	// Verify requires a valid certificate (t=b). Otherwise any is accepted, and so is http (t=a).
	Verify bool
}

const form = `it must be one record "v=v6mig-1 url=https://… t=a", or t=b`

// ParseRecord reads the TXT records of [Name], each with its strings joined (section 3.1). There must be exactly one:
// the specification has no order for several.
func ParseRecord(txt []string) (Record, error) {
	if len(txt) != 1 {
		return Record{}, fmt.Errorf("there are %d TXT records: %s", len(txt), form)
	}
	r, err := parseRecord(txt[0])
	if err != nil {
		return Record{}, fmt.Errorf("TXT record %s: %w", quote(txt[0]), err)
	}
	return r, nil
}

func parseRecord(text string) (Record, error) {
	values := map[string]string{}
	for i, field := range strings.Fields(text) {
		key, value, ok := strings.Cut(field, "=")
		if _, twice := values[key]; !ok || twice || i == 0 && key != "v" {
			return Record{}, errors.New("must be a list of different keys with values that begins with v: " + form)
		}
		values[key] = value
	}
	if values["v"] != "v6mig-1" {
		return Record{}, fmt.Errorf("v is %s, but must be v6mig-1: %s", quote(values["v"]), form)
	}
	u, err := parseURL(values["url"])
	if err != nil {
		return Record{}, fmt.Errorf("url: %w", err)
	}
	switch t := values["t"]; {
	case t != "a" && t != "b":
		return Record{}, fmt.Errorf("t is %s: it must be a (the certificate is not checked) or b (it is)", quote(t))
	case t == "b" && u.Scheme == "http":
		return Record{}, errors.New("t=b needs a certificate, which http does not have: it must be https with t=b, or t=a")
	default:
		return Record{u, t == "b"}, nil
	}
}

// hostname has no characters that are invalid in DNS or control a terminal.
var hostname = regexp.MustCompile(`^[0-9A-Za-z_]([0-9A-Za-z_-]*[0-9A-Za-z_])?(\.[0-9A-Za-z_]([0-9A-Za-z_-]*[0-9A-Za-z_])?)*\.?$`)

// parseURL reads the address of a server: http or https, a name or an IPv6 address (section 3.3: IPv6 is a must).
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", quote(text))
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	host := u.Hostname()
	address, err := netip.ParseAddr(host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || host == "":
		return fmt.Errorf("%s is not an http or https URL with a server name", quote(shown(u)))
	case u.User != nil:
		return errors.New("it must not contain a user: user and password are parameters of the request")
	case err == nil && address.Is4():
		return fmt.Errorf("%v is an IPv4 address: the server must be reached over IPv6", address)
	case err != nil && (!hostname.MatchString(host) || len(host) > 253):
		return fmt.Errorf("%s is not the name of a server", quote(host))
	}
	return nil
}

// quote shows untrusted text, clipped, with control characters escaped.
func quote(s string) string {
	const most = 120
	if len(s) > most {
		s = s[:most] + "…"
	}
	return fmt.Sprintf("%+q", s)
}

// shown is a URL without user and query, which may be secret.
func shown(u *url.URL) string { return u.Scheme + "://" + u.Host + u.EscapedPath() }

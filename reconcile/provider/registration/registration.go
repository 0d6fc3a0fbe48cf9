// Package registration builds the request that tells a provider of fixed IPv4 the CE address of a line, and judges the answer.
package registration

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Contract is what is on the provider's paper. All but Provider is secret, the URL because a token may be in it.
type Contract struct {
	Provider string // "v6plus", "transix", "ocn", "xpass" or "v6connect"; "" with a URL of another form
	URL      string `json:"-"` // "" is the provider's usual one
	User     string `json:"-"`
	Password string `json:"-"`
}

// A form is what the requests of a provider look like.
type form struct {
	url            string   // "" where only the contract has it
	user, password string   // parameters of the query; "" is HTTP's Basic authentication
	address        string   // parameter with the CE address, where it is not the request's source that is registered
	token          string   // parameter that only the contract's URL has
	plain          bool     // the provider has nothing else than http
	anySource      bool     // the server does not register the request's source
	good           []string // answers, in lower case; none: every one with a good status but those of bad
	tries          int      // that are soon after one another, before pauses of 10 to 30 minutes
	between        time.Duration
}

// forms are by provider. JPIX's is from Yamaha's and Cisco's configuration examples, IIJ's from seil.jp, OCN's from its
// customers' plugin for OPNsense, the others from fleth.
//
// JPIX answers OK to parameters of other names too, and then registers nothing.
var forms = map[string]form{
	"v6plus":    {url: "http://fcs.enabler.ne.jp/update", user: "user", password: "pass", plain: true, good: []string{"ok"}, tries: 3, between: 10 * time.Second},
	"transix":   {url: "http://update.transix.jp/request", user: "username", password: "password", plain: true, good: []string{"ok"}, tries: 3, between: 10 * time.Second},
	"ocn":       {url: "http://ipoe-static.ocn.ad.jp/nic/update", token: "hostname", plain: true, anySource: true, good: []string{"good", "nochg"}, tries: 3, between: 3 * time.Second},
	"xpass":     {token: "d", address: "a", anySource: true, tries: 5, between: 3 * time.Second},
	"v6connect": {tries: 5, between: 3 * time.Second},
	"":          {tries: 5, between: 3 * time.Second},
}

// bad are answers that say that nothing was registered, of DynDNS and of the providers, in lower case.
var bad = []string{"ng", "nohost", "badauth", "notfqdn", "numhost", "abuse", "badagent", "dnserr", "911", "error"}

// A Request is one to a provider. Only [Contract.Request] makes them.
type Request struct {
	URL            *url.URL
	User, Password string     // for Basic authentication; "" is without
	Source         netip.Addr // which it has to come from; invalid: any of the line's
	form           form
}

// Check reports what is wrong with a contract, without its secrets.
func (c Contract) Check() error {
	_, err := c.Request(netip.IPv6Unspecified())
	return err
}

// Request is the request that registers a CE address.
func (c Contract) Request(ce netip.Addr) (Request, error) {
	f, known := forms[c.Provider]
	text := c.URL
	if text == "" {
		text = f.url
	}
	switch {
	case !known:
		return Request{}, fmt.Errorf("provider %q is not known", c.Provider)
	case text == "":
		return Request{}, fmt.Errorf("url is missing: it must be the one of the contract")
	}
	_, err := url.Parse(text) // with the words in braces, which no host has: it is shown
	var inURL bool
	for name, value := range map[string]string{"{user}": c.User, "{password}": c.Password, "{ce}": ce.String()} {
		inURL = inURL || name != "{ce}" && strings.Contains(text, name)
		text = strings.ReplaceAll(text, name, escape(value))
	}
	u, failed := url.Parse(text)
	switch {
	case err != nil || failed != nil || u.Hostname() == "" || u.User != nil:
		return Request{}, fmt.Errorf("url must be one such as https://update.example.jp/request, without a user in it")
	case u.Scheme != "https" && !(u.Scheme == "http" && f.plain):
		return Request{}, fmt.Errorf("url must begin with https: only v6plus, transix and ocn have nothing else than http")
	case f.token != "" && !u.Query().Has(f.token):
		return Request{}, fmt.Errorf("url must be the one of the contract, with %q in its query", f.token+"=")
	case c.Provider != "" && !inURL && (c.User == "" || c.Password == ""):
		return Request{}, fmt.Errorf("user and password of the contract are missing")
	}
	u.Fragment = ""
	r := Request{URL: u, form: f}
	switch {
	case inURL:
	case f.user != "":
		r.set(f.user, c.User)
		r.set(f.password, c.Password)
	default:
		r.User, r.Password = c.User, c.Password
	}
	if f.address != "" {
		r.set(f.address, ce.String())
	}
	if !f.anySource {
		r.Source = ce
	}
	return r, nil
}

// set gives the query a parameter in the place of those of its name.
func (r *Request) set(name, value string) {
	pairs := slices.DeleteFunc(strings.Split(r.URL.RawQuery, "&"), func(pair string) bool {
		key, _, _ := strings.Cut(pair, "=")
		return key == "" || key == name
	})
	r.URL.RawQuery = strings.Join(append(pairs, name+"="+escape(value)), "&")
}

// escape percent-encodes a value. Not every server takes "+" for a blank.
func escape(value string) string { return strings.ReplaceAll(url.QueryEscape(value), "+", "%20") }

// Server is what may be shown of the request: "fcs.enabler.ne.jp", with " (http)" where that is all the provider has.
func (r Request) Server() string {
	if r.URL.Scheme == "http" {
		return r.URL.Hostname() + " (http)"
	}
	return r.URL.Hostname()
}

// Follow is the request to which the answer redirects this one, on the same host: to no other one the credentials go.
func (r Request) Follow(location string) (Request, error) {
	next, err := r.URL.Parse(location)
	switch {
	case location == "" || err != nil || next.Scheme != "http" && next.Scheme != "https":
		return r, fmt.Errorf("it redirects to something that is not a URL")
	case !strings.EqualFold(next.Hostname(), r.URL.Hostname()):
		return r, fmt.Errorf("it redirects to another host, which is not followed")
	case r.URL.Scheme == "https" && next.Scheme != "https":
		return r, fmt.Errorf("it redirects from https to http, which is not followed")
	}
	r.URL = next
	return r, nil
}

// Judge is what an answer says, such as "200 OK: good". It never has more of the body than one of the words that are
// known, because a server may send secrets back. The error is that it does not say that the address is registered.
func (r Request) Judge(status int, body string) (string, error) {
	word := strings.Join(strings.Fields(body)[:min(1, len(strings.Fields(body)))], "")
	lower := strings.ToLower(word)
	code := strings.TrimSpace(fmt.Sprint(status, " ", http.StatusText(status)))
	good, refused := slices.Contains(r.form.good, lower), slices.Contains(bad, lower)
	answer := code
	if good || refused {
		answer += ": " + word
	}
	switch {
	case status != http.StatusOK || refused:
		return "", fmt.Errorf("it answers %s", answer)
	case !good && len(r.form.good) > 0:
		return "", fmt.Errorf("it answers %s with %d bytes that do not say %s", code, len(body), strings.ToUpper(r.form.good[0]))
	}
	return answer, nil
}

// Pause is how long to wait after so many failures in a row. random is uniform in [0, 1).
func (r Request) Pause(failures int, random func() float64) time.Duration {
	if failures < r.form.tries {
		return r.form.between
	}
	return 10*time.Minute + time.Duration(random()*float64(20*time.Minute))
}

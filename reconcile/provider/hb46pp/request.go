package hb46pp

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What identifies the program in a request (section 3.3). The project has no OUI. 02-00-00 has the bit of locally
// administered addresses and is not registered, unlike 00-00-00 (Xerox) and 00-00-5E (IANA), which other clients use.
const identity = "vendorid=020000-mape_netplan&product=mape-netplan&version="

var notDigits = regexp.MustCompile(`[^0-9]+`)

// versionOf turns v1.4.2 into 1_4_2: the specification allows no dots. A build without a version is 0.
func versionOf(version string) string {
	release, _, _ := strings.Cut(version, "-")
	digits := strings.Trim(notDigits.ReplaceAllString(release, "_"), "_")
	if digits == "" {
		return "0"
	}
	return digits[:min(len(digits), 32)]
}

// capability is what this program supports. Packets to other customers go through the border relay, so mesh is not part
// of it.
var capability = strings.Join(append(methodNames(), "hubspoke"), ",")

var word = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Credentials are for one server only.
type Credentials struct{ User, Password, Server string }

func (c Credentials) check() error {
	if c == (Credentials{}) {
		return nil
	}
	// The message does not have the values.
	if !word.MatchString(c.User) || !word.MatchString(c.Password) || c.Server == "" {
		return fmt.Errorf("credentials need a user, a password and a server; user and password are up to 32 letters, digits, - and _")
	}
	return nil
}

// mayGo reports whether the credentials may be sent to a hop: only over https, with a checked certificate, and to the
// server of the credentials (section 3.3, user). Without a server the specification would allow any; this program does
// not.
func (c Credentials) mayGo(hop *url.URL, verify bool) bool {
	return c.Server != "" && verify && hop.Scheme == "https" && sameHost(hop.Hostname(), c.Server)
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// A Token identifies a customer to a server. It is sent only to the servers that it came from, and not with less
// protection than it came with.
type Token struct {
	Value    string   `json:"value"`
	Origins  []string `json:"origins"` // "https://vne.example.jp", of the server that issued it and of those that redirected to it
	Verified bool     `json:"verified"`
}

func (t Token) mayGo(hop *url.URL, verify bool) bool {
	return t.Value != "" && slices.Contains(t.Origins, origin(hop)) && (verify || !t.Verified)
}

func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// A Question is what a request contains.
type Question struct {
	Version string // of the program, such as "v1.4.2"
	Credentials
	Token Token
}

// parameters are the keys of a request. Those in a URL of the record are replaced by ours.
var parameters = []string{"vendorid", "product", "version", "capability", "token", "user", "pass"}

// url is the URL of a request to a hop, with all that may be sent to it. No value needs escaping.
func (q Question) url(hop *url.URL, verify bool) *url.URL {
	var pairs []string
	for pair := range strings.SplitSeq(hop.RawQuery, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); pair != "" && err == nil && !slices.Contains(parameters, key) {
			pairs = append(pairs, pair)
		}
	}
	pairs = append(pairs, identity+versionOf(q.Version), "capability="+capability)
	if q.Token.mayGo(hop, verify) {
		pairs = append(pairs, "token="+q.Token.Value)
	}
	if q.Credentials.mayGo(hop, verify) {
		pairs = append(pairs, "user="+q.User, "pass="+q.Password)
	}
	u := *hop
	u.RawQuery, u.Fragment = strings.Join(pairs, "&"), ""
	return &u
}

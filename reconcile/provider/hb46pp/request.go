package hb46pp

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// An Identity is what a request must say of the program (section 3.3).
type Identity struct {
	VendorID string // an OUI of 6 hexadecimal digits, and perhaps - and up to 24 of [0-9A-Za-z_]
	Product  string // up to 32 of [A-Za-z0-9_-]
	Version  string // up to 32 of [0-9_]
}

// Self is this program. It has no OUI, for nobody sells it. 02-00-00 has the bit set that makes an address locally
// administered, so it is registered to nobody, unlike 00-00-00 (Xerox) and 00-00-5E (IANA) that others fill in.
func Self(version string) Identity {
	return Identity{VendorID: "020000-mape_netplan", Product: "mape-netplan", Version: versionOf(version)}
}

var notDigits = regexp.MustCompile(`[^0-9]+`)

// versionOf makes 1_4_2 of v1.4.2: the specification wants _ instead of the dots. A build without a version is 0.
func versionOf(version string) string {
	release, _, _ := strings.Cut(version, "-")
	digits := strings.Trim(notDigits.ReplaceAllString(release, "_"), "_")
	if digits == "" {
		return "0"
	}
	return digits[:min(len(digits), 32)]
}

// capability is what this program can do with an answer. Packets for other customers go through the border relay, so
// mesh is not among it.
const capability = "map_e,hubspoke"

var (
	vendorID = regexp.MustCompile(`^[0-9A-Fa-f]{6}(-[0-9A-Za-z_]{1,24})?$`)
	word     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	digits   = regexp.MustCompile(`^[0-9_]{1,32}$`)
)

func (i Identity) check() error {
	switch {
	case !vendorID.MatchString(i.VendorID):
		return fmt.Errorf("vendorid %q is not 6 hexadecimal digits and perhaps - and up to 24 letters, digits and _", i.VendorID)
	case !word.MatchString(i.Product):
		return fmt.Errorf("product %q is not up to 32 letters, digits, - and _", i.Product)
	case !digits.MatchString(i.Version):
		return fmt.Errorf("version %q is not up to 32 digits and _", i.Version)
	}
	return nil
}

// Credentials are for the one server that the user named.
type Credentials struct{ User, Password, Server string }

func (c Credentials) check() error {
	if c == (Credentials{}) {
		return nil
	}
	// The values stay out of the message.
	if !word.MatchString(c.User) || !word.MatchString(c.Password) || c.Server == "" {
		return fmt.Errorf("user and password are both needed, of up to 32 letters, digits, - and _ each, and the server that they are for")
	}
	return nil
}

// mayGo says whether credentials may be sent on a hop: with https, a certificate that was checked, and the server that
// the user named, and never otherwise (section 3.3, user). Without a server's name the specification would let them go
// anywhere; this program does not.
func (c Credentials) mayGo(hop *url.URL, verify bool) bool {
	return c.Server != "" && verify && hop.Scheme == "https" && sameHost(hop.Hostname(), c.Server)
}

func sameHost(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// A Token is by what a server knows a customer again. It goes to those it came from, and not with less protection than
// it came with.
type Token struct {
	Value    string   `json:"value"`
	Origins  []string `json:"origins"` // "https://vne.example.jp", of the server that gave it and of those that led there
	Verified bool     `json:"verified"`
}

func (t Token) mayGo(hop *url.URL, verify bool) bool {
	return t.Value != "" && slices.Contains(t.Origins, origin(hop)) && (verify || !t.Verified)
}

func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }

// A Question is what the program tells the server.
type Question struct {
	Identity
	Credentials
	Token Token
}

func (q Question) check() error {
	if err := q.Identity.check(); err != nil {
		return err
	}
	return q.Credentials.check()
}

// parameters are the keys of a request. In a URL that the line names, ours go before its own.
var parameters = []string{"vendorid", "product", "version", "capability", "token", "user", "pass"}

// url is where a hop is asked, with all that it may know. Every value is of characters that stand for themselves.
func (q Question) url(hop *url.URL, verify bool) *url.URL {
	var pairs []string
	for pair := range strings.SplitSeq(hop.RawQuery, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if key, err := url.QueryUnescape(key); pair != "" && err == nil && !slices.Contains(parameters, key) {
			pairs = append(pairs, pair)
		}
	}
	pairs = append(pairs, "vendorid="+q.VendorID, "product="+q.Product, "version="+q.Version, "capability="+capability)
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

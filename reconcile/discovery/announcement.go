package discovery

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"mape-netplan/reconcile/host"
)

// AnnouncementPath is the file with what was registered last with the provider of a fixed IPv4 address. It has no
// credentials, but a salted hash that tells whether they have changed.
const AnnouncementPath = "/var/lib/mape-netplan/registration.json"

// An Announcement is the CE address that was registered with a provider. It cannot be read back: what the server answered
// is all that is known of it.
type Announcement struct {
	// CE and Server are those of the last question.
	CE     netip.Addr `json:"ce,omitzero"`
	Server string     `json:"server"`
	// Since is when the server accepted CE, and Answer what it said; zero where it has not.
	Since  time.Time `json:"since,omitzero"`
	Answer string    `json:"answer,omitempty"`
	// Problem is why the last question was not accepted; "" if it was. Failures counts such questions in a row.
	Problem  string `json:"problem,omitempty"`
	Failures int    `json:"failures,omitempty"`
	// Asked is when the server was asked last, Next is when to ask it again; zero for never.
	Asked time.Time `json:"asked"`
	Next  time.Time `json:"next,omitzero"`

	// Credentials is a salted hash of what was sent. It stays out of the facts, which people show to others.
	Credentials string `json:"-"`
}

// Of reports whether an announcement is that of a CE address by the same credentials. a may be nil.
func (a *Announcement) Of(ce netip.Addr, credentials string) bool {
	if a == nil || a.CE != ce {
		return false
	}
	salt, _, _ := strings.Cut(a.Credentials, ":")
	return a.Credentials == salted(salt, credentials)
}

// Announce begins an announcement.
func Announce(ce netip.Addr, server, credentials string) *Announcement {
	return &Announcement{CE: ce, Server: server, Credentials: salted(rand.Text(), credentials)}
}

func salted(salt, text string) string {
	return fmt.Sprintf("%s:%x", salt, sha256.Sum256([]byte(salt+text)))
}

// After is the announcement after a question: with what the server answered or, if that is not nil, with the failure, after
// which it is asked again in a pause.
func (a Announcement) After(answer string, failure error, now time.Time, pause func(failures int) time.Duration) *Announcement {
	a.Asked = now
	if failure == nil {
		a.Since, a.Answer, a.Problem, a.Failures, a.Next = now, answer, "", 0, time.Time{}
		return &a
	}
	a.Failures++
	a.Problem, a.Next = failure.Error(), now.Add(pause(a.Failures))
	return &a
}

// String is what is known of it, for people.
func (a *Announcement) String() string {
	if a.Since.IsZero() {
		return fmt.Sprintf("no: %s has not accepted %s", a.Server, a.CE)
	}
	return fmt.Sprintf("%s with %s on %s: %s", a.CE, a.Server, a.Since.Format(time.DateTime), a.Answer)
}

// Trouble is that the provider does not accept the CE address; "" if it does. a may be nil.
func (a *Announcement) Trouble() string {
	if a == nil || a.Problem == "" {
		return ""
	}
	return fmt.Sprintf("registering %s with %s failed: %s; until it is accepted, packets may not arrive", a.CE, a.Server, a.Problem)
}

// stored is an Announcement as its file has it.
type stored struct {
	*Announcement
	Credentials string `json:"credentials"`
}

// Keep writes the announcement to its file.
func (a *Announcement) Keep(h *host.Host) error {
	return keep(h, AnnouncementPath, stored{a, a.Credentials})
}

// ReadAnnouncement reads the announcement that is kept; nil without one.
func ReadAnnouncement(h *host.Host) (*Announcement, error) {
	s := stored{Announcement: new(Announcement)}
	ok, err := readKept(h, AnnouncementPath, &s)
	if !ok || s.Announcement == nil {
		return nil, err
	}
	s.Announcement.Credentials = s.Credentials
	return s.Announcement, nil
}

// Package schema reads the mape: section of a YAML file.
//
// It knows the keys of the section, their types and the bounds of single
// values, and reports every problem at once, with its position and what must
// be written instead. The arithmetic of RFC 7597 belongs to
// reconcile/softwire, and whether the values fit the machine to reconcile/line
// and reconcile/gateway; these report through [Config.Problem].
package schema

import (
	"net/netip"
	"time"
)

// A Config is the mape: section with its defaults filled in.
type Config struct {
	// Where the softwire comes from: what is built in or asked of the line, own
	// rules, or what the provider gave. Exactly one of Provider, Rules, Softwire,
	// DSLite, IPIP and LW4o6 is set.
	Provider string       // as the key's row has them; "" with any other origin
	Discover *Discover    // with the providers "discover" and "auto" only; nil if no user is given
	BR       netip.Addr   // with Rules: the border relay of those without one
	DMR      netip.Prefix // with Rules: valid for MAP-T, and then no rule has a border relay
	Rules    []Rule
	Softwire *Softwire
	DSLite   *DSLite
	IPIP     *IPIP
	LW4o6    *LW4o6

	WAN         string       // "": the interface with the IPv6 default route
	LAN         []string     // nil: every one that serves a private network; empty: none
	Prefix      netip.Prefix // invalid: the one that the WAN has; an address is a /128
	WANPrefix   string       // where the WAN gets it from: "auto", "ra" or "pd"
	Tunnel      string
	MTU         int    // in bytes; 0: the WAN's minus 40
	InterfaceID string // "map-03" or "rfc7597"; "": the provider's, rfc7597 for own rules
	Backend     string // "auto", "netplan" or "networkd"

	NAT

	// Probe has the servers of doctor's live probe: IPv4, port 0 for the default
	// port. nil: the program's own choice.
	Probe []netip.AddrPort

	// Warnings are about what is legal but probably a mistake.
	Warnings Problems

	source *source
}

// NAT has the keys of the NAT. The gateway and its table take them as they are.
type NAT struct {
	Forwards  []Forward
	Inbound   string // what happens to new connections from the internet that match no forward: "drop" or "accept"
	Conntrack Conntrack
}

// A Rule is a basic mapping rule (RFC 7597, section 5.2).
type Rule struct {
	IPv6, IPv4 netip.Prefix
	EABits     int
	PSIDOffset int
	PSID       *int // nil: in the EA bits; otherwise provisioned beside them (RFC 7597, example 5)
	PSIDLen    int  // with PSID only
	BR         netip.Addr
}

// A Discover holds the credentials of a line's user for its provisioning server
// (HB46PP). They are sent to that server only.
type Discover struct {
	User     string // up to 32 of [A-Za-z0-9_-]
	Password string `json:"-"` // of the same form; it is never printed
	Server   string // a name
}

// A Softwire is the outcome of a calculation made elsewhere.
type Softwire struct {
	CE, BR     netip.Addr
	IPv4       netip.Prefix // an address is a /32
	PSID       int
	PSIDLen    int // 0: the address is not shared
	PSIDOffset int
}

// A DSLite is a line whose provider translates (RFC 6333).
type DSLite struct {
	AFTR string // a name, or an IPv6 address
}

// An IPIP is a fixed IPv4 address or block.
type IPIP struct {
	IPv4         netip.Prefix // an address is a /32
	BR           string       // a name, or an IPv6 address
	CE           netip.Addr   // invalid: the line's prefix with InterfaceID
	InterfaceID  netip.Addr   // the lower half of an address whose upper one is zero; invalid: made of IPv4
	Block        string       // "nat" or "route"
	Registration *Registration
}

// A Registration is how the provider is told the CE address. User, password and
// URL are never printed.
type Registration struct {
	Provider string // "" with a URL of which the form is not known
	URL      string `json:"-"`
	User     string `json:"-"`
	Password string `json:"-"`
}

// A LW4o6 is what is provisioned of Lightweight 4over6 (RFC 7596).
type LW4o6 struct {
	LwAFTR     string       // a name, or an IPv6 address
	IPv4       netip.Prefix // a /32
	PSID       int
	PSIDLen    int // 0: the address is not shared
	PSIDOffset int
	Prefix     netip.Prefix // of the binding; invalid: the line's
}

// A Forward sends what arrives for ports of the shared address to a host of the
// LAN, or to the gateway itself where To is an address of its own.
type Forward struct {
	Protocol string         // "tcp", "udp" or "both"
	Ports    []PortRange    // of the shared address, in the order of the file
	To       netip.AddrPort // IPv4; port 0 keeps the number, another one is that of the first of Ports, and the rest follow
}

// A PortRange is the ports from First to Last, both included.
type PortRange struct{ First, Last uint16 }

// Conntrack is how long the gateway remembers idle connections through the
// tunnel, and how many of all there are.
type Conntrack struct {
	TCPEstablished time.Duration // RFC 5382, REQ-5: 2 h 4 min at least
	TCPTransitory  time.Duration // half open or half closed; RFC 5382, REQ-5: 4 min at least
	TCPTimeWait    time.Duration // closed by both sides
	UDP            time.Duration // RFC 4787, REQ-5: 2 min at least, 5 min recommended
	DNS            time.Duration // UDP to port 53, which RFC 4787, REQ-5a, lets be shorter
	Max            int           // net.netfilter.nf_conntrack_max; 0 leaves it alone
}

// Package doctor says in words why a gateway does not work.
//
// [Examine] gathers what the machine shows, [Diagnose] judges it in the order in which a signal travels, from the line
// to the LAN: what comes first in that order explains what follows. Examine changes nothing, and unless it is asked to
// probe it sends nothing but one question to the home gateway, over the line.
package doctor

import (
	"net/netip"
	"time"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile"
)

// Symptoms are what the machine shows beyond its facts. They are plain data and marshal to JSON.
type Symptoms struct {
	// Broken are the netplan files that are none: "file /etc/netplan/a.yaml is not a netplan file".
	Broken []string `json:"broken,omitempty"`
	// Stops is where netplan's generator stops in its files; "" is nowhere, as far as is known.
	Stops string `json:"netplan_stops,omitempty"`

	Links   []Link   `json:"links"`             // all of the facts'
	Routers []Router `json:"routers,omitempty"` // the IPv6 default routes
	Forward bool     `json:"ipv6_forwarding"`   // net.ipv6.conf.all.forwarding
	// Relay is how packets leave for the border relay, Internet for a few addresses on the IPv4 internet.
	Relay    *reconcile.Path  `json:"relay,omitempty"`
	Internet []reconcile.Path `json:"internet,omitempty"`
	// Home is what the home gateway says of itself.
	Home Home `json:"home"`
	// Tunnel is nil where there is none.
	Tunnel *Tunnel `json:"tunnel,omitempty"`
	// Module says whether the kernel has what makes one, "yes" or "no"; "" is not known, or there is a tunnel.
	Module string `json:"module,omitempty"`
	// Differences are what apply would change.
	Differences []Difference `json:"differences,omitempty"`
	// Units are those that install makes.
	Units []cloudinit.State `json:"units,omitempty"`
	// Refusal is why install would refuse what it is to give the units, and what to do; "" is that it would not.
	Refusal string `json:"refusal,omitempty"`
	// NoSystemd says why no unit can be started; "" is that they can.
	NoSystemd string  `json:"no_systemd,omitempty"`
	Ports     *Ports  `json:"ports,omitempty"`
	Tracked   Tracked `json:"tracked"`
	Clock     Clock   `json:"clock"`
	Probe     *Probe  `json:"probe,omitempty"` // nil: not asked for
	// Unread are the things that could not be looked at, and why.
	Unread []string `json:"unread,omitempty"`
}

// A Link is what an interface is like below its addresses.
type Link struct {
	Name      string `json:"name"`
	Up        bool   `json:"up"`      // switched on
	Carrier   bool   `json:"carrier"` // there is another end
	Speed     int    `json:"speed,omitempty"`
	AcceptRA  string `json:"accept_ra,omitempty"`  // of the kernel
	Forward   string `json:"forwarding,omitempty"` // of IPv6
	Disabled  bool   `json:"ipv6_disabled,omitempty"`
	LinkLocal bool   `json:"link_local"` // it has an address fe80::…
	// Networkd is what its .network file says of router advertisements: "yes", "no" or "" for nothing.
	Networkd string `json:"networkd_accept_ra,omitempty"`
}

// A Router is an IPv6 default route.
type Router struct {
	Link   string     `json:"link"`
	Via    netip.Addr `json:"via,omitzero"`
	RA     bool       `json:"ra"`     // from a router advertisement
	Silent bool       `json:"silent"` // it does not answer neighbour solicitations
}

// Home is what a home gateway at ntt.setup answers (the check that JPNE's CEs do before they start).
type Home struct {
	Address netip.Addr `json:"address,omitzero"`
	Status  string     `json:"status,omitempty"` // ON: it is the CE itself
	Skipped string     `json:"skipped,omitempty"`
}

// A Tunnel is the live one and what has passed it.
type Tunnel struct {
	Local      netip.Addr `json:"local"`
	Remote     netip.Addr `json:"remote"`
	EncapLimit int        `json:"encap_limit"` // -1 is none
	MTU        int        `json:"mtu"`
	Up         bool       `json:"up"`
	Total      Count      `json:"total"` // since it was made
	// Lately is how many of these passed while it was watched, for Watched in nanoseconds.
	Lately  Count         `json:"lately"`
	Watched time.Duration `json:"watched"`
}

// A Count is of packets.
type Count struct {
	RX uint64 `json:"rx"`
	TX uint64 `json:"tx"`
}

// since is what came after first. A counter that is below it began anew, with a
// tunnel that was made again.
func (c Count) since(first Count) Count {
	if c.RX >= first.RX {
		c.RX -= first.RX
	}
	if c.TX >= first.TX {
		c.TX -= first.TX
	}
	return c
}

// A Difference is something that is not as it should be.
type Difference struct {
	Name   string `json:"name"`
	Before string `json:"before"`
	After  string `json:"after"`
	Error  string `json:"error,omitempty"` // it cannot be looked at
}

// Ports is who uses the port set.
type Ports struct {
	reconcile.Usage
	Busiest []reconcile.BusyDestination `json:"busiest"`
}

// Tracked is how full connection tracking is.
type Tracked struct {
	Count int `json:"count"`
	Max   int `json:"max"`
}

// A Clock is what the time is, and according to whom.
type Clock struct {
	Now      time.Time `json:"now"`
	Hardware time.Time `json:"hardware,omitzero"`
	Server   time.Time `json:"server,omitzero"` // of the Date of a probed server
	Built    time.Time `json:"built,omitzero"`
}

// A Probe is what came back through the tunnel.
type Probe struct {
	Answers []Answer `json:"answers"`
	// Largest is the longest packet in bytes that came back whole; 0 is not known.
	Largest int `json:"largest,omitempty"`
	// Refused says that a longer one was refused with an error, and not lost without a word.
	Refused bool `json:"refused,omitempty"`
}

// An Answer is what became of one question.
type Answer struct {
	Protocol string        `json:"protocol"` // icmp, tcp, udp
	To       string        `json:"to"`
	OK       bool          `json:"ok"`
	Took     time.Duration `json:"took,omitempty"`
	Error    string        `json:"error,omitempty"`
}

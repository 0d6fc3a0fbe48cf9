// Package symptom gathers what a machine shows of its gateway.
//
// It judges nothing and changes nothing. Unless it is told to probe, it sends one HTTP request to the home gateway, over
// the line, and nothing else.
//
// A look is a file with what it finds, a row in looks and a field of [Symptoms].
package symptom

import (
	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/kernel"
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
	Relay    *kernel.Path  `json:"relay,omitempty"`
	Internet []kernel.Path `json:"internet,omitempty"`
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
	// Unread are the looks that failed.
	Unread []Unread `json:"unread,omitempty"`
}

// Unread is a look that failed, and why.
type Unread struct {
	Look string `json:"look"`
	Why  string `json:"why"`
}

package reconcile

import (
	"net/netip"
	"slices"
	"strconv"

	"mape-netplan/schema"
)

// A Memory is the line that our own files were last made for: its CE address
// and the MTU of the tunnel, in bytes; 0 is not known.
type Memory struct {
	CE  netip.Addr `json:"ce"`
	MTU int        `json:"mtu,omitempty"`
}

// remember notes what a tunnel of one of our files says. A file that does not
// say where the tunnel begins tells of no line.
func (o *Owned) remember(ce, mtu string) {
	address, err := netip.ParseAddr(ce)
	if err != nil || !address.Is6() {
		return
	}
	bytes, _ := strconv.Atoi(mtu)
	o.Memory = &Memory{address, bytes}
}

// wan is the link that our files give the remembered CE address; "" is not
// known.
func (o Owned) wan() string {
	i := slices.IndexFunc(o.Addresses, func(a OwnedAddress) bool { return o.Memory != nil && a.Prefix.Addr() == o.Memory.CE })
	if i < 0 {
		return ""
	}
	return o.Addresses[i].Link
}

// Recall is the section with what our files remember of the line in the place
// of what it leaves to be found out: the prefix, which is told by the CE
// address, and the WAN. false when the line is not known in this way either.
func Recall(c *schema.Config, o Owned) (*schema.Config, bool) {
	r := *c
	if r.Softwire == nil && !r.Prefix.IsValid() {
		if o.Memory == nil {
			return c, false
		}
		r.Prefix = netip.PrefixFrom(o.Memory.CE, 128)
	}
	if r.WAN == "" {
		r.WAN = o.wan()
	}
	return &r, true
}

// remembered are the facts that files tell: what our own were made for, and what
// the line said of its rules. They are what the others tell where the error names
// files that cannot be read.
func (h *Host) remembered() (Facts, error) {
	owned, err := h.ownedFiles(Facts{})
	return Facts{Owned: owned, Discovered: h.discovery()}, err
}

// Remembered is the gateway of the remembered line, as far as the table of
// nftables depends on it: no interface but the tunnel is known. An error says
// why the section makes none of it.
func Remembered(c *schema.Config, f Facts) (*Gateway, error) {
	r, known := Recall(c, f.Owned)
	if !known {
		return nil, notYet{errNoMemory}
	}
	line, err := Derive(r, Facts{Discovered: f.Discovered})
	if err != nil {
		return nil, err
	}
	if err := checkForwards(r, line.Softwire); err != nil {
		return nil, err
	}
	return &Gateway{
		Line: line, Tunnel: r.Tunnel, MTU: rememberedMTU(r, f.Owned),
		Forwards: r.Forwards, Inbound: r.Inbound, Conntrack: r.Conntrack,
	}, nil
}

// rememberedMTU is the section's or the last one; without either that of a
// tunnel over Ethernet.
func rememberedMTU(c *schema.Config, o Owned) int {
	const ethernet = 1500
	switch {
	case c.MTU > 0:
		return c.MTU
	case o.Memory != nil && o.Memory.MTU > 0:
		return o.Memory.MTU
	}
	return ethernet - tunnelHeader
}

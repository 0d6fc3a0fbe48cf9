package reconcile

import (
	"net/netip"
	"slices"

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
func (o *Owned) remember(ce netip.Addr, mtu int) {
	if ce.Is6() {
		o.Memory = &Memory{ce, mtu}
	}
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
// the line said of its rules.
func (h *Host) remembered() (Facts, error) {
	owned, err := h.ownedFiles(Facts{})
	return Facts{Owned: owned, Discovered: h.cached()}, err
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
	g := &Gateway{
		Line: line, Tunnel: r.Tunnel, MTU: rememberedMTU(r, f.Owned),
		Forwards: r.Forwards, Inbound: r.Inbound, Conntrack: r.Conntrack,
	}
	g.pool = g.nat().pool()
	return g, nil
}

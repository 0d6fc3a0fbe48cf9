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

// Recall finds the line that our own files were last made for: what the section leaves to be found out is the prefix that
// the remembered CE address is in, and the WAN that has it. false: none is remembered.
func Recall(c *schema.Config, f Facts) (Line, bool, error) {
	r := *c
	if r.Softwire == nil && !r.Prefix.IsValid() {
		if f.Owned.Memory == nil {
			return Line{}, false, nil
		}
		r.Prefix = netip.PrefixFrom(f.Owned.Memory.CE, 128)
	}
	if r.WAN == "" {
		r.WAN = f.Owned.wan()
	}
	l, err := Find(&r, f)
	l.Recalled = true
	return l, true, err
}

// remembered are the facts that files tell: what our own were made for, and what
// the line said of its rules. They are what the others tell where the error names
// files that cannot be read.
func (h *Host) remembered() (Facts, error) {
	owned, err := h.ownedFiles(Facts{})
	return Facts{Owned: owned, Discovered: h.cached()}, err
}

// Remembered is the gateway of the remembered line, as far as the table of
// nftables depends on it: no interface but the tunnel is known. An error says
// why the section makes none of it.
func Remembered(c *schema.Config, f Facts) (*Gateway, error) {
	l, known, err := Recall(c, Facts{Owned: f.Owned, Discovered: f.Discovered})
	if !known {
		return nil, notYet{errNoMemory}
	}
	if err != nil {
		return nil, err
	}
	return gatewayOn(c, l, rememberedMTU(c, f.Owned))
}

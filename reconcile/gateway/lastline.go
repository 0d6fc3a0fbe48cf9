package gateway

import (
	"net/netip"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/schema"
)

// Recall finds the line that our own files were last made for: what the section leaves to be found out is the prefix that
// the remembered CE address is in, and the WAN that has it. false: none is remembered.
func Recall(c *schema.Config, f facts.Facts) (line.Line, bool, error) {
	r := *c
	if r.Softwire == nil && !r.Prefix.IsValid() {
		if f.Owned.Memory == nil {
			return line.Line{}, false, nil
		}
		r.Prefix = netip.PrefixFrom(f.Owned.Memory.CE, 128)
	}
	if r.WAN == "" {
		r.WAN = f.Owned.Wan()
	}
	l, err := line.Find(&r, f)
	l.Recalled = true
	return l, true, err
}

// Remembered is the gateway of the remembered line, as far as the table of
// nftables depends on it: no interface but the tunnel is known. An error says
// why the section makes none of it.
func Remembered(c *schema.Config, f facts.Facts) (*Gateway, error) {
	l, known, err := Recall(c, facts.Facts{Owned: f.Owned, Discovered: f.Discovered})
	if !known {
		return nil, line.NotYet{Why: ErrNoMemory}
	}
	if err != nil {
		return nil, err
	}
	return gatewayOn(c, l, line.RememberedMTU(c, f.Owned))
}

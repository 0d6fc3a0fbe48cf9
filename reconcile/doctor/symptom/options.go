package symptom

import (
	"context"
	"net/netip"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/schema"
)

// Options are how symptoms are gathered.
type Options struct {
	// Watch is how long the tunnel's counters are watched.
	Watch time.Duration
	Now   func() time.Time
	Built time.Time // of the program; zero if not known
	// Unread are the files that could not be read while the facts were gathered.
	Unread host.Unread
	// Refusal is install's of this program or section; nil if it would not refuse.
	Refusal error
	// Resolve asks the line's own resolvers for the addresses of a name; nil asks none.
	Resolve func(ctx context.Context, h *host.Host, wan kernel.Link, name string) ([]netip.Addr, error)
	// Probe are the servers that packets are sent to, and Timeout is that of each answer; nil sends none.
	Probe   []netip.AddrPort
	Timeout time.Duration
	// Compile lists what the machine is to be; nil is [gateway.Compile].
	Compile func(*gateway.Gateway, facts.Facts) []engine.Resource
}

// DefaultProbe are resolvers of two companies, which answer ping, and TCP and UDP at port 53, from everywhere.
var DefaultProbe = []netip.AddrPort{netip.MustParseAddrPort("1.1.1.1:53"), netip.MustParseAddrPort("8.8.8.8:53")}

// Servers are those of a section's probe, at port 53 unless it names one, or the default.
func Servers(c *schema.Config) []netip.AddrPort {
	if c.Probe == nil {
		return DefaultProbe
	}
	var all []netip.AddrPort
	for _, s := range c.Probe {
		if s.Port() == 0 {
			s = netip.AddrPortFrom(s.Addr(), 53)
		}
		all = append(all, s)
	}
	return all
}

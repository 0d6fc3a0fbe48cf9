package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

func (o *options) compute() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "compute",
		Short: "Print the softwire that the section and the prefix make",
		Long: `Print the softwire that the section and the prefix make: the CE address, the
border relay, the shared IPv4 address and the ports. Nothing is touched and no
privilege is needed. With --prefix no file is needed either: without one the
section is "mape: {}".`,
		Example: "  mape-netplan compute --prefix 2400:4050:5c71:af00::/56\n  mape-netplan compute -c examples/v6plus.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.prefix != "" && !o.hasFile() {
				o.config, o.in = "-", strings.NewReader("mape: {}\n")
			}
			c, err := o.section(cmd.Context(), cmd)
			if err != nil {
				return err
			}
			s, err := o.softwire(cmd.Context(), c)
			if err != nil {
				return o.blame(err)
			}
			if o.json {
				return printJSON(cmd, s)
			}
			warn(cmd, s.Warnings)
			return s.print(cmd.OutOrStdout())
		},
	}
	o.factsFlag(cmd)
	return cmd
}

// softwire reads of the machine only what the section does not have.
func (o *options) softwire(ctx context.Context, c *schema.Config) (view, error) {
	facts, err := o.linkFacts(ctx)
	if err != nil {
		return view{}, err
	}
	found, err := line.Find(c, facts)
	if err != nil {
		return view{}, err
	}
	wan, _ := facts.Link(found.WAN.Name)
	if found.Elsewhere {
		wan = kernel.Link{}
	}
	return viewOf(found, gateway.TunnelMTU(c, found.Softwire, wan)), nil
}

// linkFacts are the facts of the machine, or of --facts. Those about links
// suffice.
func (o *options) linkFacts(ctx context.Context) (facts.Facts, error) {
	if o.factsFile != "" {
		return o.givenFacts(ctx)
	}
	_, f, err := o.gather(dispensable)
	return f, err
}

// A view is a softwire as compute and status print it.
type view struct {
	Mode          string      `json:"mode"`
	Provider      string      `json:"provider"`
	Service       string      `json:"service,omitempty"`
	Rule          *ruleView   `json:"rule,omitempty"`
	EndUserPrefix string      `json:"end_user_prefix"`
	CE            netip.Addr  `json:"ce"`
	BR            netip.Addr  `json:"br"`
	DMR           string      `json:"dmr,omitempty"` // of MAP-T, whose br is its first address
	IPv4          string      `json:"ipv4"`
	PSID          uint16      `json:"psid"`
	PSIDLen       int         `json:"psid_len"`
	PSIDOffset    int         `json:"psid_offset"`
	Ports         []portsView `json:"ports"`
	PortCount     int         `json:"port_count"`
	MTU           int         `json:"mtu"` // bytes; 0 if unknown
	Warnings      []string    `json:"warnings"`
	ranges        []softwire.PortRange

	// Of status alone: the name of the far end as the line's resolvers know it, and what the provider was told.
	FarEnd       discovery.Names         `json:"far_end,omitempty"`
	Registration *discovery.Announcement `json:"registration,omitempty"`
}

type ruleView struct {
	IPv6       netip.Prefix `json:"ipv6"`
	IPv4       netip.Prefix `json:"ipv4"`
	EABits     int          `json:"ea_bits"`
	PSIDOffset int          `json:"psid_offset"`
}

type portsView struct {
	First uint16 `json:"first"`
	Last  uint16 `json:"last"`
}

func viewOf(line line.Line, mtu int) view {
	sw := line.Softwire
	v := view{
		Mode: string(sw.Mode), Provider: line.Provider, Service: line.Service, CE: sw.CE(), BR: sw.BR(), IPv4: address(sw.Inner),
		PSID: sw.Ports.PSID, PSIDLen: sw.Ports.PSIDLen, PSIDOffset: sw.Ports.PSIDOffset,
		MTU: mtu, Warnings: sw.WarningTexts(), Ports: []portsView{},
	}
	if sw.Mode != softwire.DSLite {
		v.PortCount, v.ranges = sw.Ports.Count(), sw.Ports.Ranges()
	}
	if t, ok := sw.Carrier.(softwire.Translator); ok {
		v.DMR = t.DMR.String()
	}
	for _, r := range v.ranges {
		v.Ports = append(v.Ports, portsView{r.First, r.Last})
	}
	if sw.Origin.EndUserPrefix.IsValid() {
		v.EndUserPrefix = sw.Origin.EndUserPrefix.String()
	}
	if r := sw.Origin.Rule; r != nil {
		v.Rule = &ruleView{r.IPv6, r.IPv4, r.EABits, r.PSIDOffset}
	}
	return v
}

// address prints a /32 as an address.
func address(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func (v view) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	switch {
	case v.Service != "":
		row("provider", "%s: %s", v.Provider, v.Service)
	case v.Provider != "":
		row("provider", "%s", v.Provider)
	}
	if v.Rule != nil {
		row("rule", "%s -> %s, %d EA bits, PSID offset %d", v.Rule.IPv6, v.Rule.IPv4, v.Rule.EABits, v.Rule.PSIDOffset)
		row("end-user prefix", "%s", v.EndUserPrefix)
	}
	row("CE", "%s", v.CE)
	switch far := map[softwire.Mode]string{softwire.DSLite: "AFTR", softwire.LW4o6: "lwAFTR"}[softwire.Mode(v.Mode)]; {
	case v.DMR != "":
		row("DMR", "%s", v.DMR)
	default:
		row(cmp.Or(far, "BR"), "%s", v.BR)
	}
	row("IPv4", "%s", v.IPv4)
	if v.PSIDLen > 0 {
		row("PSID", "%d (0x%x) of %d bits, offset %d", v.PSID, v.PSID, v.PSIDLen, v.PSIDOffset)
	}
	ranges := "ranges"
	if len(v.ranges) == 1 {
		ranges = "range"
	}
	if v.PortCount == 0 {
		row("ports", "the provider's")
	} else {
		row("ports", "%d in %d %s: %s", v.PortCount, len(v.ranges), ranges, some(v.ranges))
	}
	if v.MTU > 0 {
		row("MTU", "%d", v.MTU)
	}
	for name, n := range v.FarEnd {
		row("far end", "%s is %s, as %s says until %s", name, n.Address, n.Server.Addr(), n.Until.Format(time.DateTime))
	}
	if a := v.Registration; a != nil {
		row("registered", "%s", a)
	}
	return w.Flush()
}

// some prints ranges without the middle of many; --json has all.
func some(ranges []softwire.PortRange) string {
	const ends = 3
	text := ""
	for i, r := range ranges {
		switch {
		case len(ranges) > 2*ends && i == ends:
			text += " …"
		case len(ranges) <= 2*ends || i < ends || i >= len(ranges)-ends:
			text += fmt.Sprintf(" %d-%d", r.First, r.Last)
		}
	}
	return text[min(1, len(text)):]
}

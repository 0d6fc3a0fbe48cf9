// Package firewall finds what other programs' rules do to the packets of a gateway.
package firewall

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strings"

	"mape-netplan/reconcile/firewall/ruleset"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/nat"
)

// Foreign is what other programs on the machine do to packets: Docker, libvirt, ufw, firewalld, /etc/nftables.conf.
// It is looked at for warnings only.
type Foreign struct {
	ruleset.Ruleset
	// Legacy are the tables of iptables-legacy and ip6tables-legacy, whose rules nf_tables does not show: "ip filter".
	Legacy []string `json:"legacy,omitempty"`
	// Unread is why the rest of this is not known.
	Unread string `json:"unread,omitempty"`
}

// Read reads what other programs have in the kernel. Nothing depends on it, so that an error is something to warn
// of; a caller without the right to look hears of it when our own table is read.
func Read(h *host.Host) (Foreign, error) {
	var f Foreign
	if h.NFT == nil {
		return f, nil
	}
	var err error
	if f.Ruleset, err = ruleset.Read(h.NFT, nat.Name, MeetsUs); err != nil {
		if !errors.Is(err, fs.ErrPermission) {
			f.Unread = err.Error()
		}
		return f, nil
	}
	for _, program := range []string{"ip", "ip6"} {
		data, err := h.Root.ReadFile("proc/thread-self/net/" + program + "_tables_names") // of the thread's network namespace
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return f, err
		}
		for _, table := range slices.Sorted(slices.Values(strings.Fields(string(data)))) {
			f.Legacy = append(f.Legacy, program+" "+table)
		}
	}
	return f, nil
}

// MeetsUs chooses the base chains that matter: those that can drop a packet on its way, that take it from connection
// tracking, or that translate it before we do.
func MeetsUs(c ruleset.Chain) bool {
	if c.Type == "nat" {
		return c.Family != "ip6" && c.Hook == "postrouting" && c.Priority <= natPriority
	}
	return c.Family != "ip6" || c.Hook != "forward" // The tunnel's own packets are not forwarded.
}

// An Obstacle is something of another program that stops this gateway, or may.
type Obstacle struct {
	What, Advice string
	Sure         bool // not only "may"

	flow int // what it is about, by its index
}

func (o Obstacle) String() string {
	if o.Advice == "" {
		return o.What
	}
	return o.What + "; " + o.Advice
}

// Obstacles lists what others do to packets on these paths, that to the LAN's first.
func Obstacles(p Paths, f Foreign) []Obstacle {
	var all []Obstacle
	flows := p.flows()
	for i := range f.Chains {
		if c := &f.Chains[i]; c.Type != "" {
			all = append(all, f.warnings(c, flows)...)
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].flow < all[j].flow })
	if f.Unread != "" {
		all = append(all, Obstacle{What: "what other programs do to packets is not known: " + f.Unread})
	}
	if len(f.Legacy) > 0 {
		all = append(all, Obstacle{What: fmt.Sprintf("iptables-legacy has been loaded (table %s), and what is in it cannot be looked at from here: if iptables-legacy-save and ip6tables-legacy-save show no rules, ignore this",
			strings.Join(f.Legacy, ", ")), Advice: "else see that none drops or translates what goes through " + p.Tunnel.Name})
	}
	return all
}

// warnings is about one base chain, through which every packet that meets it is walked.
func (f Foreign) warnings(c *ruleset.Chain, flows []flow) []Obstacle {
	var all []Obstacle
	var hits []hit
	for i, flow := range flows {
		var drops []drop
		var spared []string
		for _, p := range flow.packets {
			if !p.meets(*c) {
				continue
			}
			w := walk{all: f.Chains, packet: p.at(*c), tunnel: flow.tunnel}
			if d := w.base(c); d != nil {
				drops = append(drops, *d)
			} else {
				spared = append(spared, p.what+p.detail)
			}
			hits = append(hits, w.relevant(p)...)
		}
		// Where only one of TCP and UDP gets through, that is taken for intended.
		drops = slices.DeleteFunc(drops, func(d drop) bool { return slices.Contains(spared, d.packet.what+d.packet.detail) })
		if c.Type == "nat" {
			continue
		}
		for _, sure := range []bool{true, false} {
			if of := slices.DeleteFunc(slices.Clone(drops), func(d drop) bool { return d.sure != sure }); len(of) > 0 {
				o := f.dropWarning(*c, flow, of, sure)
				o.flow = i
				all = append(all, o)
			}
		}
	}
	sort.SliceStable(hits, func(i, j int) bool { return hits[i].rule.Handle < hits[j].rule.Handle })
	for i, h := range hits {
		same := func(o hit) bool { return o.rule == h.rule && o.do == h.do }
		if slices.IndexFunc(hits, same) == i {
			h.sure = slices.ContainsFunc(hits, func(o hit) bool { return same(o) && o.sure })
			if what, advice := f.hitWarning(*c, flows, h); what != "" {
				all = append(all, Obstacle{What: what, Advice: advice, Sure: h.sure})
			}
		}
	}
	return all
}

// relevant returns the hits that matter for a packet: one that does not pass the tunnel needs no translation of ours.
func (w walk) relevant(p packet) []hit {
	out := p.out.Name == w.tunnel
	return slices.DeleteFunc(w.hits, func(h hit) bool {
		if h.do == ruleset.DoMasquerade || h.do == ruleset.DoSNAT {
			return !out
		}
		return !out && p.in.Name != w.tunnel
	})
}

// hitWarning is about a rule that does something else to a packet than drop it; "" where that does not matter there.
func (f Foreign) hitWarning(c ruleset.Chain, flows []flow, h hit) (what, advice string) {
	tunnel := flows[0].tunnel
	does := func(what, object string) string {
		if h.sure {
			what += "s"
		} else {
			what = "may " + what
		}
		in := ""
		if h.in.Name != c.Name {
			in = ", by chain " + h.in.Name
		}
		return fmt.Sprintf("%s%s: rule handle %d (%s) %s %s", chainText(c), in, h.rule.Handle, ruleText(*h.rule), what, object)
	}
	switch h.do {
	case ruleset.DoMasquerade, ruleset.DoSNAT:
		if c.Type != "nat" {
			return "", ""
		}
		return does("translate", fmt.Sprintf("what leaves through %s before table ip %s does, and the guard drops it then", tunnel, nat.Name)),
			fmt.Sprintf("begin the rule with oifname != %q, or give its chain the priority srcnat", tunnel)
	case ruleset.DoNoTrack:
		if c.Priority >= conntrackPriority {
			return "", "" // Too late to do anything.
		}
		return does("take", fmt.Sprintf("packets on their way through %s from connection tracking, and what is not tracked cannot be translated", tunnel)),
			"restrict the rule by interface or address"
	case ruleset.DoFlow:
		i := slices.IndexFunc(f.Flowtables, func(t ruleset.Flowtable) bool {
			return t.Family == c.Family && t.Table == c.Table && t.Name == h.to
		})
		if i < 0 || !slices.ContainsFunc(f.Flowtables[i].Devices, func(name string) bool { return enters(flows, name) }) {
			return "", ""
		}
		return does("offload", fmt.Sprintf("connections through %s to flowtable %s, and their packets then pass by the NAT and its guard", tunnel, h.to)),
			fmt.Sprintf("begin the rule with iifname != %q oifname != %q", tunnel, tunnel)
	}
	return "", ""
}

// enters reports whether forwarded packets come in through an interface of that name; "eth*" is every name with that prefix.
func enters(flows []flow, name string) bool {
	prefix, wild := strings.CutSuffix(name, "*")
	return slices.ContainsFunc(flows, func(f flow) bool {
		return slices.ContainsFunc(f.packets, func(p packet) bool {
			return slices.Contains(p.hooks, "forward") && (p.in.Name == name || wild && strings.HasPrefix(p.in.Name, prefix))
		})
	})
}

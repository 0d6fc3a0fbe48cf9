package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

// address: has the line assigned a prefix?
func (d *diagnosis) address() Finding {
	if d.c.Prefix.IsValid() {
		return d.given()
	}
	if all := d.prefixes(); len(all) > 0 {
		return good("%s has %s", d.wan, strings.Join(texts(all), ", "))
	}
	if d.known() {
		return good("the section gives the prefix, and %s has none of its own", d.wan)
	}
	if d.c.WANPrefix == "pd" && !slices.Contains(d.f.Owned.Requesting, d.wan) {
		return bad("no DHCPv6 client asks for a prefix on "+d.wan+" yet", fmt.Sprintf("The section says wan-prefix: pd, and nothing on this machine asks the line's DHCPv6 server for a prefix on %s yet.", d.wan),
			d.restore())
	}
	if d.c.WANPrefix == "pd" {
		return d.withFirewalls(bad("no prefix has been delegated to "+d.wan, fmt.Sprintf("The line's DHCPv6 server has delegated no prefix to %s, and the section says wan-prefix: pd.", d.wan),
			`A line delegates to one router only: switch the other one off and wait until its lease has ended, or write "wan-prefix: auto" if the line is one that announces its prefix.`))
	}
	if f, ok := d.elsewhere(); ok {
		return f
	}
	has := d.addresses(d.wan)
	return bad(fmt.Sprintf("%s has %s", d.wan, has),
		fmt.Sprintf("%s: %s has %s.", d.noPrefix(), d.wan, has),
		`If the line gives its prefix by DHCPv6 (ひかり電話 without a home gateway, フレッツ光クロス), write "wan-prefix: pd" into the section and run "`+d.command()+`"; if the provider told you the prefix, write it as "prefix:".`)
}

// elsewhere is address if another interface than the presumed WAN has a prefix that a rule covers.
func (d *diagnosis) elsewhere() (Finding, bool) {
	taken := d.wan
	if d.line.NoWAN == nil {
		taken = d.line.WAN.Name // d.wan can be where an earlier run put the CE address.
	}
	for _, l := range d.f.Links {
		if l.Name == taken || l.Loopback || l.Name == d.c.Tunnel {
			continue
		}
		there := *d.c
		there.WAN = l.Name
		line, err := line.Suppose(&there, d.f)
		all := prefixes(line, false)
		if err != nil || len(all) == 0 {
			continue
		}
		whose := "the section's rule"
		if line.Provider != "" {
			whose = "a rule of " + line.Provider
		}
		has := d.addresses(taken)
		by, remove := "which is taken for it", ""
		if d.c.WAN == "" {
			by = "which is taken for the WAN by its IPv6 default route"
			remove = fmt.Sprintf(` And remove the IPv6 default route of %s, or what announces itself there: "ip -6 route show default".`, taken)
		}
		return bad(fmt.Sprintf("%s has %s, and %s has %s", taken, has, l.Name, all[0]),
			fmt.Sprintf("The line is at %s, which has %s, and %s covers that; %s, %s, has %s.", l.Name, all[0], whose, taken, by, has),
			d.sentence(d.name(l.Name))+remove), true
	}
	return Finding{}, false
}

// noPrefix is which router, if any, has assigned no prefix.
func (d *diagnosis) noPrefix() string {
	i := slices.IndexFunc(d.s.Routers, func(r symptom.Router) bool { return r.Link == d.wan })
	switch {
	case i < 0:
		return "Nothing has given " + d.wan + " a prefix"
	case d.s.Routers[i].RA:
		return "A router announces itself on " + d.wan + ", but gives no prefix"
	}
	return fmt.Sprintf("The router of %s, %s, is known by a fixed route, and no prefix has come from it", d.wan, d.s.Routers[i].Via)
}

// addresses are those of a WAN that do not give the prefix, each with the reason.
func (d *diagnosis) addresses(wan string) string {
	var all []string
	for _, c := range d.line.Candidates {
		if c.Origin != kernel.OriginPD && !c.Prefix.Addr().IsLinkLocalUnicast() {
			all = append(all, fmt.Sprintf("%s, which %s", c.Prefix, c.Reason))
		}
	}
	switch {
	case len(all) > 0:
		return strings.Join(all[:min(3, len(all))], ", and ")
	case d.linkOf(wan).LinkLocal:
		return "only its link-local address"
	}
	return "no IPv6 address at all"
}

// given is address if the section gives the prefix: the WAN must be on that very line.
func (d *diagnosis) given() Finding {
	says, without := d.c.Prefix, *d.c
	without.Prefix, without.WANPrefix = netip.Prefix{}, "" // from delegations and addresses alike
	there, _ := line.Suppose(&without, d.f)
	has := prefixes(there, true)
	fits := func(p netip.Prefix) bool {
		whole := d.line.Softwire.Origin.EndUserPrefix
		return p.Overlaps(says) || whole.IsValid() && p.Overlaps(whole)
	}
	switch {
	case len(has) == 0:
		return warning(fmt.Sprintf("the section says %s, and %s has no address of its own", says, d.wan),
			fmt.Sprintf("The section says that the line's prefix is %s, and %s has no global IPv6 address that would show it.", says, d.wan),
			"Make sure that the prefix is this line's; if no answers come back, check that first.")
	case !slices.ContainsFunc(has, fits):
		return bad(fmt.Sprintf("the section says %s, and %s has %s", says, d.wan, strings.Join(texts(has), ", ")),
			fmt.Sprintf("The section (or --prefix) says that the line's prefix is %s, and %s has %s: nothing would come back.", says, d.wan, strings.Join(texts(has), ", ")),
			`Take "prefix:" out of the section, so that it is detected, or correct it.`)
	}
	return good("%s has %s, and the section says %s", d.wan, strings.Join(texts(has), ", "), says)
}

// prefixes are the line's prefix or, if no rule covers one, all that were tried.
func (d *diagnosis) prefixes() []netip.Prefix {
	if d.c.Prefix.IsValid() {
		return []netip.Prefix{d.c.Prefix}
	}
	return prefixes(d.line, false)
}

// prefixes are the candidates up to the chosen one, or all of them. An address counts as its /64.
func prefixes(l line.Line, every bool) []netip.Prefix {
	var all []netip.Prefix
	for _, c := range l.Candidates {
		if !c.Usable && c.Err == nil {
			continue
		}
		if p := netip.PrefixFrom(c.Prefix.Addr(), min(64, c.Prefix.Bits())).Masked(); !slices.Contains(all, p) {
			all = append(all, p)
		}
		if c.Usable && !every {
			break
		}
	}
	return all
}

// rule: which rule covers the prefix, and does the section fit?
func (d *diagnosis) rule() Finding {
	if problems := (schema.Problems)(nil); !d.known() && errors.As(d.err, &problems) {
		return bad("the section does not fit", d.sentence(words(problems)), "Correct the section and run \"mape-netplan validate\".")
	}
	if !d.known() {
		return d.noRule()
	}
	if d.g == nil && d.rivals() == "" {
		return bad("the section does not fit this machine", d.sentence("The section does not fit this machine: "+words(d.err)), "Correct that, and run \"mape-netplan plan\" to see whether it fits.")
	}
	sw := d.line.Softwire
	who := d.line.Provider
	if who == "" {
		who = "the section's rule"
	}
	seen := fmt.Sprintf("%s: IPv4 %s, CE %s", who, sw.Inner.Masked().Addr(), sw.CE())
	if f, ok := d.part(seen); ok {
		return f
	}
	return good("%s", seen)
}

func (d *diagnosis) noRule() Finding {
	if discovery.Asks(d.c.Provider) && errors.Is(d.err, line.ErrNotYet) {
		return d.undiscovered()
	}
	all := d.prefixes()
	var none provider.NoRule
	if len(all) == 0 || !errors.As(d.err, &none) {
		return bad("no rule", d.sentence("the line's prefix is in no rule that the section means: "+words(d.err)), "Correct the section, and run \"mape-netplan compute\" to see what it comes to.")
	}
	text := fmt.Sprintf("the line's prefix %s is in no rule that is known", all[0])
	advice := "Ask the provider for its MAP-E rule and write it into the section (keys rules and br), or what its router's status page says (key softwire)."
	known := none.Network
	if known.Prefix.IsValid() {
		text += fmt.Sprintf(": %s is %s", known.Prefix, known.Owner)
	}
	switch {
	case known.Kind == provider.Lite:
		text += ", " + known.Kind.String()
		advice = "Write provider: auto, or leave provider out: DS-Lite works without a rule."
	case known.Kind == provider.Closed:
		text += ", " + known.Kind.String()
		advice = "Ask the provider to switch IPoE on for this line, and wait until the line has another prefix."
	default:
		if n, ok := provider.Nearest(all[0]); ok {
			text += fmt.Sprintf("; the nearest lines that have one are those of %s (%s) in %s", n.Provider, n.Service, n.Block)
		}
	}
	return bad("no rule covers "+strings.Join(texts(all), ", "), d.sentence(text), advice)
}

// undiscovered is noRule if the rules are to come from the line.
func (d *diagnosis) undiscovered() Finding {
	source := discovery.SourceOf(d.c.Provider)
	if d.f.Discovered.By(source) == nil {
		return bad("the line has not been asked for its rules yet", "The section is right, and nothing has asked the line for its rules yet (provider: "+d.c.Provider+").",
			d.restore())
	}
	f := bad("the line has given no rules", d.sentence("the line has been asked for its rules, and there are none to use: "+words(d.err)),
		`"mape-netplan apply" asks it again. If that changes nothing, ask the provider whether the contract has IPv4 by `+discovery.Protocol(source)+`, or write its rules into the section (keys rules and br).`)
	if clock := d.clock(); source == "" && clock.State == Bad { // It is asked by TLS.
		return bad(f.Seen+"; the clock says "+clock.Seen, clock.Diagnosis+" "+f.Diagnosis, clock.Advice+" "+f.Advice)
	}
	return f
}

// part is rule if a home gateway has delegated a part of the line's prefix, and not the first, which has the CE address.
func (d *diagnosis) part(seen string) (Finding, bool) {
	sw := d.line.Softwire
	if !sw.Origin.EndUserPrefix.IsValid() || !slices.ContainsFunc(sw.Warnings, func(w softwire.Warning) bool { return w.Kind == softwire.NotFirst }) {
		return Finding{}, false
	}
	first := netip.PrefixFrom(sw.CE(), 64).Masked()
	has := strings.Join(texts(d.prefixes()), ", ")
	f := warning(seen+"; but "+has+" is not the first part of "+sw.Origin.EndUserPrefix.String(),
		fmt.Sprintf("%s is a part, not the first, of the line's %s: a home gateway has handed it out, and the CE address is in the first part, %s, which is the home gateway's own network.", has, sw.Origin.EndUserPrefix, first),
		"Connect the WAN to the home gateway's own LAN (no other router in between), and make sure that MAP-E is off in the home gateway.")
	if t := d.s.Tunnel; t == nil && len(d.f.Owned.Files) == 0 || t != nil && t.Total.RX == 0 && t.Total.TX >= symptom.EnoughSent {
		f.State = Bad // No answer has ever come back.
	}
	return f, true
}

func texts(all []netip.Prefix) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.String())
	}
	return out
}

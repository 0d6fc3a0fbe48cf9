package schema

import (
	"fmt"
	"slices"
	"sort"
)

// check checks what no key has alone. What arithmetic decides belongs to
// reconcile/softwire.
func (p *parser) check(c *Config) {
	p.checkOrigin(c)
	p.checkDiscover(c)
	p.together("mape", "br", "rules", "a provider's is built in, and a softwire has its own")
	p.together("mape", "dmr", "rules", "it is the far end of rules of your own")
	p.conflict("mape", "br", "dmr", "MAP-T has no border relay, and MAP-E no dmr")
	const bits = "the number of bits of the PSID"
	for i, r := range c.Rules {
		path := fmt.Sprintf("mape.rules[%d]", i)
		switch br := p.has(path + ".br"); {
		case br && p.has("mape.dmr"):
			p.report(p.key(path+".br"), path+".br", `conflicts with "dmr" on line %d: MAP-T has no border relay`, p.key("mape.dmr").line)
		case !br && !p.has("mape.br") && !p.has("mape.dmr"):
			p.report(p.value(path), path, `"br" is missing; give it here, or beside "rules" for all of them`)
		}
		p.together(path, "psid", "psid-len", bits)
		if r.PSIDLen > 0 {
			p.together(path, "psid-len", "psid", "without one, ea-bits decides its length")
		}
	}
	if path := "mape.softwire"; c.Softwire != nil {
		p.together(path, "psid", "psid-len", bits)
		// The offset of a shared address is 6 or 4 or 0, depending on where the
		// values come from, and a wrong one takes the ports of other customers.
		if c.Softwire.PSIDLen > 0 {
			p.together(path, "psid-len", "psid", "the port set ID from the calculator or the ISP")
			p.together(path, "psid-len", "psid-offset", "the number of bits before the PSID in a port, 6 for OCN and 4 for v6plus")
		}
	}
	if path := "mape.lw4o6"; c.LW4o6 != nil {
		p.together(path, "psid", "psid-len", bits)
		if c.LW4o6.PSIDLen > 0 {
			p.together(path, "psid-len", "psid", "the port set ID from the provider")
		}
	}
	if path := "mape.ipip"; c.IPIP != nil {
		p.conflict(path, "interface-id", "ce", "which is the whole address")
		if r := path + ".registration"; p.has(r) && !p.has(r+".provider") && !p.has(r+".url") {
			p.report(p.value(r), r, `"provider" is missing; give it, or the "url" of the contract`)
		}
	}
	p.checkInterfaces(c)
}

// origins are the keys of which a section has one, for its softwire to come from.
var origins = []string{"provider", "rules", "softwire", "ds-lite", "ipip", "lw4o6"}

// checkOrigin lets the softwire have one origin: any order of precedence would
// surprise some.
func (p *parser) checkOrigin(c *Config) {
	var given []string
	for _, name := range origins {
		if p.has("mape." + name) {
			given = append(given, name)
		}
	}
	sort.Slice(given, func(i, j int) bool { return p.key("mape."+given[i]).line < p.key("mape."+given[j]).line })
	for _, name := range given[min(1, len(given)):] {
		p.report(p.key("mape."+name), "mape."+name,
			"conflicts with %q on line %d; give only one of %s", given[0], p.key("mape."+given[0]).line, list(origins, "and"))
	}
	if len(given) > 0 && !slices.Contains(given, "provider") {
		c.Provider = ""
	}
	if path := "mape.interface-id"; p.has(path) && len(given) > 0 && given[0] != "provider" && given[0] != "rules" {
		p.report(p.key(path), path, "has no effect: %q has the address of this end in another way", given[0]).Warning = true
	}
}

// checkDiscover refuses a user that would never be sent.
func (p *parser) checkDiscover(c *Config) {
	const path = "mape.discover"
	bad := c.Provider == "" && p.has("mape.provider") // it was reported
	if !p.has(path) || c.Provider == "discover" || c.Provider == "auto" || bad {
		return
	}
	for _, origin := range origins {
		if p.has("mape." + origin) {
			p.report(p.key(path), path, `conflicts with %q on line %d; it needs "provider: discover"`, origin, p.key("mape."+origin).line)
			return
		}
	}
}

// together reports a key that is there without one that it needs.
func (p *parser) together(path, name, needs, why string) {
	if inner := path + "." + name; p.has(inner) && !p.has(path+"."+needs) {
		p.report(p.key(inner), inner, "needs %q: %s", needs, why)
	}
}

// conflict reports a key that is there beside one that excludes it.
func (p *parser) conflict(path, name, other, why string) {
	if inner := path + "." + name; p.has(inner) && p.has(path+"."+other) {
		p.report(p.key(inner), inner, "conflicts with %q on line %d: %s", other, p.key(path+"."+other).line, why)
	}
}

// checkInterfaces keeps the sides of the gateway apart. A side that is not
// given is chosen later, apart from these.
func (p *parser) checkInterfaces(c *Config) {
	paths := map[string]string{c.Tunnel: "mape.tunnel"}
	add := func(name, path string) {
		other, taken := paths[name]
		switch {
		case name == "" || !taken:
			paths[name] = path
		case p.has(other):
			p.report(p.value(path), path, "%q conflicts with %s on line %d", name, other, p.value(other).line)
		default:
			p.report(p.value(path), path, `%q conflicts with the default name of the tunnel; give the tunnel another one with "tunnel"`, name)
		}
	}
	add(c.WAN, "mape.wan")
	for i, name := range c.LAN {
		path := fmt.Sprintf("mape.lan[%d]", i)
		if !p.has(path) {
			path = "mape.lan"
		}
		add(name, path)
	}
}

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
	const bits = "the number of bits of the PSID"
	for i, r := range c.Rules {
		path := fmt.Sprintf("mape.rules[%d]", i)
		if !p.has(path+".br") && !p.has("mape.br") {
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
	p.checkInterfaces(c)
}

// checkOrigin lets the softwire have one origin: any order of precedence would
// surprise some.
func (p *parser) checkOrigin(c *Config) {
	var given []string
	for _, name := range []string{"provider", "rules", "softwire"} {
		if p.has("mape." + name) {
			given = append(given, name)
		}
	}
	sort.Slice(given, func(i, j int) bool { return p.key("mape."+given[i]).line < p.key("mape."+given[j]).line })
	for _, name := range given[min(1, len(given)):] {
		p.report(p.key("mape."+name), "mape."+name,
			"conflicts with %q on line %d; give only one of provider, rules and softwire", given[0], p.key("mape."+given[0]).line)
	}
	if len(given) > 0 && !slices.Contains(given, "provider") {
		c.Provider = ""
	}
	if path := "mape.interface-id"; p.has("mape.softwire") && p.has(path) {
		p.report(p.key(path), path, `has no effect: the ce of "softwire" is the whole address`).Warning = true
	}
}

// checkDiscover refuses a user that would never be sent.
func (p *parser) checkDiscover(c *Config) {
	const path = "mape.discover"
	bad := c.Provider == "" && p.has("mape.provider") // it was reported
	if !p.has(path) || c.Provider == "discover" || c.Provider == "auto" || bad {
		return
	}
	for _, origin := range []string{"provider", "rules", "softwire"} {
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

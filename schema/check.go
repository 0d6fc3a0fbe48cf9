package schema

import (
	"fmt"
	"slices"
)

// check looks at what no key can say alone. What arithmetic says belongs to
// reconcile/softwire.
func (p *parser) check(c *Config) {
	p.checkOrigin()
	p.checkDiscover(c)
	for i, r := range c.Rules {
		p.checkRule(fmt.Sprintf("mape.rules[%d]", i), r)
	}
	if c.Softwire != nil {
		p.checkSoftwire("mape.softwire", *c.Softwire)
	}
	p.checkInterfaces(c)
}

// checkOrigin lets the softwire have one origin: whatever order they had, some
// would expect another.
func (p *parser) checkOrigin() {
	var given []string
	for _, name := range []string{"provider", "rules", "softwire"} {
		if p.has("mape." + name) {
			given = append(given, name)
		}
	}
	slices.SortStableFunc(given, func(a, b string) int { return p.key("mape."+a).line - p.key("mape."+b).line })
	for i, name := range given {
		if i > 0 {
			first := p.key("mape." + given[0])
			p.reportRival(p.key("mape."+name), first, "mape."+name,
				"only one of provider, rules and softwire can be given; %q is on line %d", given[0], first.line)
		}
	}
	p.checkBR()
	if path := "mape.interface-id"; p.has("mape.softwire") && p.has(path) {
		p.report(p.key(path), path, `has no effect: the ce of "softwire" is the whole address`).Warning = true
	}
}

// checkDiscover lets nobody believe that a user is told where nobody is asked.
func (p *parser) checkDiscover(c *Config) {
	const path = "mape.discover"
	bad := c.Provider == "" && p.has("mape.provider") // it was reported
	if !p.has(path) || c.Provider == "discover" || c.Provider == "auto" || bad {
		return
	}
	for _, origin := range []string{"provider", "rules", "softwire"} {
		if p.has("mape." + origin) {
			rival := p.key("mape." + origin)
			p.reportRival(p.key(path), rival, path, `is for "provider: discover", and %q on line %d says where the rules come from`, origin, rival.line)
			return
		}
	}
}

func (p *parser) checkBR() {
	const path = "mape.br"
	switch {
	case !p.has(path) || p.has("mape.rules"):
	case p.has("mape.softwire"):
		rival := p.key("mape.softwire")
		p.reportRival(p.key(path), rival, path, `is for "rules"; the softwire on line %d has a br of its own`, rival.line)
	default:
		p.report(p.key(path), path, `is for "rules", and there are none; that of a provider is known`)
	}
}

func (p *parser) checkRule(path string, r Rule) {
	if !p.has(path+".br") && !p.has("mape.br") {
		p.report(p.value(path), path, `"br" is missing; give it here, or beside "rules" for all of them`)
	}
	p.together(path, "psid", "psid-len", "the number of bits that the PSID has")
	if r.PSIDLen > 0 {
		p.together(path, "psid-len", "psid", "without one, ea-bits decide how long it is")
	}
}

// checkSoftwire demands the offset of a shared address: it is 6 or 4 or 0,
// depending on where the values come from, and a wrong one takes the ports of
// others.
func (p *parser) checkSoftwire(path string, s Softwire) {
	p.together(path, "psid", "psid-len", "the number of bits that the PSID has")
	if s.PSIDLen > 0 {
		p.together(path, "psid-len", "psid", "the number that the calculator or the ISP gives for it")
		p.together(path, "psid-len", "psid-offset", "the number of bits before the PSID in a port, 6 for OCN and 4 for v6plus")
	}
}

// together reports a key that is there without one that it needs.
func (p *parser) together(path, name, needs, why string) {
	if inner := path + "." + name; p.has(inner) && !p.has(path+"."+needs) {
		p.report(p.key(inner), inner, "needs %q: %s", needs, why).about = path + "." + needs
	}
}

// checkInterfaces keeps the sides of the gateway apart. A side that is not
// given is chosen later, apart from these.
func (p *parser) checkInterfaces(c *Config) {
	paths := map[string]string{c.Tunnel: "mape.tunnel"}
	add := func(name, path string) {
		other, taken := paths[name]
		if name == "" || !taken {
			paths[name] = path
			return
		}
		if !p.has(other) {
			p.report(p.value(path), path, `%q is what the tunnel is called unless "tunnel" gives it another name`, name)
			return
		}
		rival := p.value(other)
		p.reportRival(p.value(path), rival, path, "%q is also %s, on line %d", name, other, rival.line)
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

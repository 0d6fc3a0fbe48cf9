package schema

// A key is one line of the format: mape.schema.json says the same to editors,
// and a test holds the two together.
type key struct {
	name     string
	value    value
	required bool
}

func (c *Config) keys() []key {
	return []key{
		{name: "provider", value: word{&c.Provider, []string{"auto", "ocn", "v6plus", "biglobe", "nuro"}}},
		{name: "br", value: address{&c.BR}},
		{name: "rules", value: rules{c}},
		{name: "softwire", value: softwire{c}},
		{name: "wan", value: name{&c.WAN}},
		{name: "lan", value: names{&c.LAN}},
		{name: "prefix", value: linePrefix{&c.Prefix}},
		{name: "tunnel", value: name{&c.Tunnel}},
		// Every IPv6 link carries 1280 bytes and the tunnel's header takes
		// 40 of them. The upper bound is jumbo Ethernet's: it catches a digit
		// too many.
		{name: "mtu", value: number{func(n int) { c.MTU = n }, 1240, 9000, "1460"}},
		{name: "interface-id", value: word{&c.InterfaceID, []string{"map-03", "rfc7597"}}},
		{name: "backend", value: word{&c.Backend, []string{"auto", "netplan", "networkd"}}},
	}
}

// The bounds are those of RFC 7598, sections 4.1 and 4.5. The offset of a rule
// is 6 unless it says otherwise, as in RFC 7597, section 5.1.
func (r *Rule) keys() []key {
	return []key{
		{name: "ipv6", value: prefix{&r.IPv6, ipv6}, required: true},
		{name: "ipv4", value: prefix{&r.IPv4, ipv4}, required: true},
		{name: "ea-bits", value: number{func(n int) { r.EABits = n }, 0, 48, "16"}, required: true},
		{name: "psid-offset", value: number{func(n int) { r.PSIDOffset = n }, 0, 15, "6"}},
		{name: "psid", value: number{func(n int) { r.PSID = &n }, 0, 0xffff, "0x34"}},
		{name: "psid-len", value: number{func(n int) { r.PSIDLen = n }, 0, 16, "6"}},
		{name: "br", value: address{&r.BR}},
	}
}

func (s *Softwire) keys() []key {
	return []key{
		{name: "ce", value: address{&s.CE}, required: true},
		{name: "br", value: address{&s.BR}, required: true},
		{name: "ipv4", value: sharedAddress{&s.IPv4}, required: true},
		{name: "psid", value: number{func(n int) { s.PSID = n }, 0, 0xffff, "0x34"}},
		{name: "psid-len", value: number{func(n int) { s.PSIDLen = n }, 0, 16, "6"}},
		{name: "psid-offset", value: number{func(n int) { s.PSIDOffset = n }, 0, 15, "6"}},
	}
}

const defaultPSIDOffset = 6

func lookup(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// foreign are the words of OpenWrt, of the providers' own answers (HB46PP) and
// of their manuals for what has another name here.
var foreign = map[string]string{
	"peeraddr": "br", "dmr": "br", "aftr": "br", "border-relay": "br",
	"ip6prefix": "ipv6", "ipv6-prefix": "ipv6", "ipaddr": "ipv4", "ipv4-prefix": "ipv4",
	"ealen": "ea-bits", "ea-len": "ea-bits", "ea-length": "ea-bits",
	"psidlen": "psid-len", "psid-length": "psid-len", "offset": "psid-offset",
	"interface": "wan", "uplink": "wan", "mode": "provider", "isp": "provider",
}

// unknownKey says what is wrong with a key that is not in the table, and which
// one was meant, if any.
func unknownKey(word string, keys []key) (message, meant string) {
	var known []string
	for _, k := range keys {
		known = append(known, k.name)
	}
	guess := foreign[word]
	if lookup(keys, guess) == nil {
		guess = nearest(word, known)
	}
	unknown := "unknown key " + quote(word)
	if guess != "" {
		return unknown + "; did you mean " + quote(guess) + "?", guess
	}
	var homes []string
	if lookup(new(Config).keys(), word) != nil {
		homes = append(homes, `directly in "mape"`)
	}
	if lookup(new(Rule).keys(), word) != nil {
		homes = append(homes, `in an entry of "rules"`)
	}
	if lookup(new(Softwire).keys(), word) != nil {
		homes = append(homes, `in "softwire"`)
	}
	if homes != nil {
		return quote(word) + " does not belong here but " + list(homes, "or"), ""
	}
	return unknown + "; the keys here are " + list(known, "and"), ""
}

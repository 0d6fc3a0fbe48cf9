package schema

import "time"

// A key is one line of the format: mape.schema.json says the same to editors,
// and a test holds the two together.
type key struct {
	name     string
	value    value
	required bool
}

func (c *Config) keys() []key {
	return []key{
		{name: "provider", value: word{&c.Provider, []string{"auto", "ocn", "v6plus", "biglobe", "nuro", "discover"}}},
		{name: "discover", value: discover{c}},
		{name: "br", value: address{&c.BR}},
		{name: "rules", value: rules{c}},
		{name: "softwire", value: softwire{c}},
		{name: "wan", value: name{&c.WAN}},
		{name: "lan", value: names{&c.LAN}},
		{name: "prefix", value: linePrefix{&c.Prefix}},
		{name: "wan-prefix", value: word{&c.WANPrefix, []string{"auto", "ra", "pd"}}},
		{name: "tunnel", value: name{&c.Tunnel}},
		// Every IPv6 link carries 1280 bytes and the tunnel's header takes
		// 40 of them. The upper bound is jumbo Ethernet's: it catches a digit
		// too many.
		{name: "mtu", value: number{func(n int) { c.MTU = n }, 1240, 9000, "1460"}},
		{name: "interface-id", value: word{&c.InterfaceID, []string{"map-03", "rfc7597"}}},
		{name: "backend", value: word{&c.Backend, []string{"auto", "netplan", "networkd"}}},
		{name: "forwards", value: forwards{c}},
		{name: "inbound", value: word{&c.Inbound, []string{"drop", "accept"}}},
		{name: "conntrack", value: conntrack{c}},
		{name: "probe", value: probe{&c.Probe}},
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

// The forms are those of v6mig-prov 1.1, section 3.3.
func (d *Discover) keys() []key {
	return []key{
		{name: "user", value: credential{&d.User, false}, required: true},
		{name: "password", value: credential{&d.Password, true}, required: true},
		{name: "server", value: serverName{&d.Server}, required: true},
	}
}

const defaultPSIDOffset = 6

func (f *forward) keys() []key {
	return []key{
		{name: "port", value: ports{&f.Ports}, required: true},
		{name: "to", value: target{&f.to}, required: true},
		{name: "protocol", value: word{&f.Protocol, []string{"tcp", "udp", "both"}}},
	}
}

// The minimums are the RFCs' where they set one. Those of dns and
// tcp-time-wait leave an answer and a late segment the time to arrive; that of
// max is about what one port set can hold.
func (t *Conntrack) keys() []key {
	const rfc5382, rfc4787 = "RFC 5382, REQ-5,", "RFC 4787, REQ-5,"
	return []key{
		{name: "tcp-established", value: duration{&t.TCPEstablished, 2*time.Hour + 4*time.Minute, longest, rfc5382, "2h4m"}},
		{name: "tcp-transitory", value: duration{&t.TCPTransitory, 4 * time.Minute, longest, rfc5382, "4m"}},
		{name: "tcp-time-wait", value: duration{&t.TCPTimeWait, 10 * time.Second, time.Hour, "", "1m"}},
		{name: "udp", value: duration{&t.UDP, 2 * time.Minute, longest, rfc4787, "5m"}},
		{name: "dns", value: duration{&t.DNS, 5 * time.Second, longest, "", "10s"}},
		{name: "max", value: number{func(n int) { t.Max = n }, 1024, 4194304, "65536"}},
	}
}

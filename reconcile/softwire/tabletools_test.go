package softwire_test

import (
	"fmt"
	"net/netip"
	"strings"

	"mape-netplan/reconcile/softwire"
)

// homePrefix is the line of an address or prefix that a Japanese calculator takes: all reckon with the /56.
func homePrefix(s string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, 56), err
}

func fc2Claim(l calculatorLine) (claim, error) {
	c := claim{id: softwire.MAP03}
	var out struct {
		IPv4       string `json:"ipv4"`
		PSID       int    `json:"psid"`
		CE         string `json:"ce"`
		Ports      string `json:"port"`
		BR         string `json:"peeraddr"`
		Rule4      string `json:"ipaddr"`
		Rule4Len   string `json:"ip4prefixlen"`
		Rule6      string `json:"ip6prefix"`
		Rule6Len   string `json:"ip6prefixlen"`
		EALen      string `json:"ealen"`
		PSIDLen    string `json:"psidlen"`
		Offset     string `json:"offset"`
		MapVersion string `json:"at-mapversion"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	if out.MapVersion != "draft" {
		return c, fmt.Errorf("at-mapversion %q", out.MapVersion)
	}
	n, err := numbers(out.Rule6Len, out.Rule4Len, out.EALen, out.Offset)
	if err != nil {
		return c, err
	}
	if c.rule, err = ruleOf(out.Rule6, n[0], out.Rule4, n[1], n[2], n[3], out.BR); err != nil {
		return c, err
	}
	c.wants("ce", address(out.CE), ce)
	c.wants("br", address(out.BR), br)
	c.wants("ipv4", out.IPv4+"/32", ipv4)
	c.wants("psid", fmt.Sprint(out.PSID), psid)
	c.wants("psid_len", out.PSIDLen, psidLen)
	c.wants("psid_offset", out.Offset, psidOffset)
	c.wants("ports", out.Ports, ranges)
	c.prefix, err = homePrefix(l.Args[0])
	return c, err
}

func flethClaim(l calculatorLine) (claim, error) {
	c := claim{id: softwire.MAP03}
	var out struct {
		Provider string   `json:"provider"`
		IPv4     string   `json:"ipv4"`
		BR       string   `json:"br"`
		Rule4    string   `json:"ipv4prefix"`
		Rule4Len string   `json:"prefix4len"`
		Rule6    string   `json:"ipv6prefix"`
		Rule6Len string   `json:"prefix6len"`
		EALen    string   `json:"ealen"`
		PSIDLen  string   `json:"psidlen"`
		Offset   string   `json:"offset"`
		Count    int      `json:"port_count"`
		Ends     []string `json:"ports_first_last"`
		CE       string   `json:"ce"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	n, err := numbers(out.Rule6Len, out.Rule4Len, out.EALen, out.Offset)
	if err != nil {
		return c, err
	}
	if c.rule, err = ruleOf(out.Rule6, n[0], out.Rule4, n[1], n[2], n[3], out.BR); err != nil {
		return c, err
	}
	c.wants("ce", address(out.CE), ce)
	c.wants("br", address(out.BR), br)
	c.wants("ipv4", out.IPv4+"/32", ipv4)
	c.wants("psid_len", out.PSIDLen, psidLen)
	c.wants("psid_offset", out.Offset, psidOffset)
	c.wants("port_count", fmt.Sprint(out.Count), portCount)
	c.wants("first and last port", fmt.Sprint(out.Ends), func(s softwire.Softwire) string {
		all := s.Ports.Ranges()
		return fmt.Sprint([]uint16{all[0].First, all[len(all)-1].Last})
	})
	c.prefix, err = homePrefix(l.Args[1])
	return c, err
}

// v6plusTunClaim has no rule of its own: the program has a table, as provider has.
func v6plusTunClaim(l calculatorLine) (claim, error) {
	c := claim{id: softwire.MAP03}
	var out struct {
		RC     int    `json:"rc"`
		Stdout string `json:"stdout"`
		Stderr string `json:"stderr"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	c.refused = out.RC != 0
	for line := range strings.Lines(out.Stdout) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "IPv4 Addr (CE IPv4 Address)":
			c.wants("ipv4", value+"/32", ipv4)
		case "CE IPv6 Addr":
			c.wants("ce", address(value), ce)
		case "Port Ranges":
			c.wants("ports", strings.ReplaceAll(value, ",", ""), ranges)
		case "PSID":
			c.wants("psid", value, psid)
		case "Border Relay Address (BR Address)":
			c.wants("br", address(value), br)
		default:
			return c, fmt.Errorf("output %q", line)
		}
	}
	var err error
	c.prefix, err = homePrefix(l.Args[0])
	return c, err
}

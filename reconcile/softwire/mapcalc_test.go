package softwire_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"

	"mape-netplan/reconcile/softwire"
)

// mapcalcOutput is what OpenWrt's mapcalc prints. What is printed back from the arguments is not compared.
type mapcalcOutput struct {
	RC         int             `json:"rc"`
	PSIDLen    string          `json:"RULE_1_PSIDLEN"`
	EALen      string          `json:"RULE_1_EALEN"`
	Offset     string          `json:"RULE_1_OFFSET"`
	CE         string          `json:"RULE_1_IPV6ADDR"`
	IPv4       string          `json:"RULE_1_IPV4ADDR"`
	IPv4Len    string          `json:"RULE_1_ADDR4LEN"`
	Ports      json.RawMessage `json:"RULE_1_PORTSETS"`
	PortsCount int             `json:"RULE_1_PORTSETS_COUNT"`
	BR         string          `json:"RULE_1_BR"`
	Count      string          `json:"RULE_COUNT"`

	FMR     string `json:"RULE_1_FMR"`
	BMR     string `json:"RULE_BMR"`
	Rule4   string `json:"RULE_1_IPV4PREFIX"`
	Rule6   string `json:"RULE_1_IPV6PREFIX"`
	Len4    string `json:"RULE_1_PREFIX4LEN"`
	Len6    string `json:"RULE_1_PREFIX6LEN"`
	PD      string `json:"RULE_1_IPV6PD"`
	PDLen   string `json:"RULE_1_PD6LEN"`
	PDIface string `json:"RULE_1_PD6IFACE"`
	Stderr  string `json:"stderr"`
}

// mapcalcPorts is a port set too long for the file.
type mapcalcPorts struct {
	Count       int      `json:"count"`
	First, Last []string `json:",omitempty"`
	Sum         string   `json:"sha256_space_joined"`
}

func mapcalcClaim(l calculatorLine) (claim, error) {
	c := claim{}
	offset := 6
	args := l.Args
	if args[0] == "LEGACY=1" {
		c.id, offset, args = softwire.MAP03, 4, args[1:]
	}
	if len(args) != 2 || args[0] != "*" {
		return c, fmt.Errorf("args %q", l.Args)
	}
	arg := words(strings.Split(args[1], ","))
	if err := mapcalcInput(&c, arg, offset); err != nil {
		return c, err
	}
	var out mapcalcOutput
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	if c.refused = out.RC != 0; c.refused {
		if out.RC != 1 || out.Count != "0" {
			return c, fmt.Errorf("exit code %d, %s rules", out.RC, out.Count)
		}
		return c, nil
	}
	if out.Count != "1" {
		return c, fmt.Errorf("%s rules", out.Count)
	}
	return c, mapcalcWanted(&c, arg, out)
}

func mapcalcInput(c *claim, arg map[string]string, offset int) error {
	n, err := numbers(arg["prefix6len"], arg["prefix4len"], arg["ealen"], arg["offset"], arg["psid"], arg["psidlen"], arg["pdlen"])
	if err != nil {
		return err
	}
	if n[3] < 0 {
		n[3] = offset
	}
	psid, psidLen, pdLen := n[4], n[5], n[6]
	switch {
	case arg["type"] == "lw4o6":
		n[2] = 0 // Lightweight 4over6 has no EA bits (RFC 7596 section 5.1).
	case arg["type"] != "map-e":
		return fmt.Errorf("type %q", arg["type"])
	}
	if c.rule, err = ruleOf(arg["ipv6prefix"], n[0], arg["ipv4prefix"], n[1], n[2], n[3], arg["br"]); err != nil {
		return err
	}
	if psid >= 0 && psidLen > 0 {
		c.rule.PSID = &softwire.PSID{Value: uint16(psid) >> (16 - psidLen), Len: psidLen}
	}
	if arg["pd"] == "" {
		return nil // The line's prefix is missing: c.prefix stays invalid.
	}
	pd, err := netip.ParseAddr(arg["pd"])
	c.prefix = netip.PrefixFrom(pd, pdLen)
	return err
}

func mapcalcWanted(c *claim, arg map[string]string, out mapcalcOutput) error {
	c.wants("ce", address(out.CE), ce)
	c.wants("br", address(out.BR), br)
	c.wants("ipv4", out.IPv4+"/"+out.IPv4Len, ipv4)
	c.wants("psid_len", out.PSIDLen, psidLen)
	c.wants("psid_offset", out.Offset, psidOffset)
	if arg["type"] != "lw4o6" {
		c.wants("ea_bits", out.EALen, func(s softwire.Softwire) string {
			return fmt.Sprint(s.Origin.EndUserPrefix.Bits() - c.rule.IPv6.Bits())
		})
	}
	if out.Ports == nil {
		if out.PSIDLen != "0" {
			return fmt.Errorf("no ports with a PSID of %s bits", out.PSIDLen)
		}
		c.wants("ports", "1-65535", ranges) // No port set means no restriction there.
		return nil
	}
	c.wants("number of ranges", fmt.Sprint(out.PortsCount), func(s softwire.Softwire) string { return fmt.Sprint(len(s.Ports.Ranges())) })
	var all string
	if json.Unmarshal(out.Ports, &all) == nil {
		c.wants("ports", all, ranges)
		return nil
	}
	var long mapcalcPorts
	if err := strict(out.Ports, &long); err != nil {
		return err
	}
	if long.Count != out.PortsCount {
		return fmt.Errorf("%d ranges and %d", long.Count, out.PortsCount)
	}
	c.wants("sha256 of the ports", long.Sum, rangesSum)
	ends := strings.Join(append(long.First, long.Last...), " ")
	c.wants("some ports", ends, someRanges(ends))
	return nil
}

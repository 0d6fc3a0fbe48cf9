package softwire_test

import (
	"fmt"
	"net/netip"
	"strings"

	"mape-netplan/reconcile/softwire"
)

func mapecedClaim(l calculatorLine) (claim, error) {
	c := claim{}
	var out struct {
		RC     int    `json:"rc"`
		Stdout string `json:"stdout"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	// args: a heading, then ipv6prefix len ipv4prefix len ealen psidlen offset pd pdlen mode
	a := l.Args
	n, err := numbers(a[2], a[4], a[5], a[6], a[7], a[9])
	if err != nil {
		return c, err
	}
	if c.rule, err = ruleOf(a[1], n[0], a[3], n[1], n[2], n[4], ""); err != nil {
		return c, err
	}
	pd, err := netip.ParseAddr(a[8])
	if err != nil {
		return c, err
	}
	c.prefix = netip.PrefixFrom(pd, n[5])
	if a[10] == "draft" {
		c.id = softwire.MAP03
	}
	if c.refused = out.RC != 0; c.refused {
		return c, nil
	}
	head, ports, _ := strings.Cut(out.Stdout, " ports=")
	values := words(strings.Fields(head))
	if len(values) != 4 || values["snat"] == "" {
		return c, fmt.Errorf("output %q", head)
	}
	c.wants("ipv4", values["ipv4"]+"/32", ipv4)
	c.wants("psid", values["psid"], psid)
	c.wants("psid_len", fmt.Sprint(n[3]), psidLen)
	c.wants("ce", address(values["ce"]), ce)
	c.wants("ports", ports, ranges)
	return c, nil
}

// pyswmapClaim goes the other way in the source: it computes the prefix from the address and the PSID.
func pyswmapClaim(l calculatorLine) (claim, error) {
	c := claim{}
	var out struct {
		PD        string `json:"pd"`
		CE        string `json:"ce"`
		PSIDLen   int    `json:"psidlen"`
		PortBits  int    `json:"portbits"`
		Count     int    `json:"port_count"`
		First     []int  `json:"ports_first"`
		Last      []int  `json:"ports_last"`
		FirstPSID int    `json:"gen_psid_of_first_port"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	arg := words(l.Args)
	rule6, err := netip.ParsePrefix(arg["rulev6"])
	if err != nil {
		return c, err
	}
	rule4, err := netip.ParsePrefix(arg["rulev4"])
	if err != nil {
		return c, err
	}
	n, err := numbers(arg["ealen"], arg["psidoffset"])
	if err != nil {
		return c, err
	}
	c.rule = &softwire.Rule{IPv6: rule6, IPv4: rule4, EABits: n[0], PSIDOffset: n[1], BR: netip.MustParseAddr("2001:db8:ffff::1")}
	c.wants("pd", out.PD, endUser)
	c.wants("ce", address(out.CE), ce)
	c.wants("ipv4", arg["ipv4"]+"/32", ipv4)
	c.wants("psid", arg["psid"], psid)
	c.wants("psid of the first port", fmt.Sprint(out.FirstPSID), psid)
	c.wants("psid_len", fmt.Sprint(out.PSIDLen), psidLen)
	c.wants("port bits", fmt.Sprint(out.PortBits), func(s softwire.Softwire) string { return fmt.Sprint(16 - s.Ports.PSIDOffset - s.Ports.PSIDLen) })
	c.wants("port_count", fmt.Sprint(out.Count), portCount)
	c.wants("first and last ports", fmt.Sprint(out.First, out.Last), func(s softwire.Softwire) string {
		all := s.Ports.Ranges()
		first, last := all[0].First, all[len(all)-1].Last
		return fmt.Sprint([]uint16{first, first + 1}, []uint16{last - 1, last})
	})
	c.prefix, err = netip.ParsePrefix(out.PD)
	return c, err
}

func map6to4Claim(l calculatorLine) (claim, error) {
	c := claim{}
	var out struct {
		RC     int    `json:"rc"`
		Stdout string `json:"stdout"`
	}
	if err := strict(l.Output, &out); err != nil {
		return c, err
	}
	rule6, err := netip.ParsePrefix(l.Args[1])
	if err != nil {
		return c, err
	}
	rule4, err := netip.ParsePrefix(l.Args[2])
	if err != nil {
		return c, err
	}
	n, err := numbers(l.Args[3])
	if err != nil {
		return c, err
	}
	c.rule = &softwire.Rule{IPv6: rule6, IPv4: rule4, EABits: n[0], BR: netip.MustParseAddr("2001:db8:ffff::1")}
	addr, hex, _ := strings.Cut(out.Stdout, ",")
	c.wants("ipv4", addr+"/32", ipv4)
	c.wants("psid", hex, func(s softwire.Softwire) string { return fmt.Sprintf("%#x", s.Ports.PSID) })
	c.prefix, err = homePrefix(l.Args[0])
	return c, err
}

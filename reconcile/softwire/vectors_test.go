package softwire_test

import (
	"encoding/csv"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"

	"mape-netplan/reconcile/softwire"
)

var vectorExceptions = map[string]exception{
	"NEGATIVE-mapeced-draft-01ab": {
		disagrees: "ce is 2001:db8:1ab:0:cb:71:1ab:0 there, Compute gives 2001:db8:1ab:0:cb:71:100:ab00",
		reason:    "the program left-aligns the PSID in its 16 bits; map-03 and every other implementation right-align it",
	},
}

func TestVectors(t *testing.T) {
	f, err := os.Open("testdata/vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 23 {
		t.Errorf("the file has %d lines, not the heading and 22", len(rows))
	}
	var claims []claim
	for _, row := range rows[1:] {
		v := vector{}
		for i, name := range rows[0] {
			v[name] = row[i]
		}
		c, err := v.claim()
		if err != nil {
			t.Errorf("%s: cannot be interpreted: %v", v["id"], err)
			continue
		}
		claims = append(claims, c)
	}
	checkClaims(t, claims, vectorExceptions)
}

// vector is a line by the names of its columns.
type vector map[string]string

func (v vector) claim() (claim, error) {
	c := claim{name: v["id"]}
	if err := v.interfaceID(&c); err != nil {
		return c, err
	}
	if err := v.input(&c); err != nil {
		return c, err
	}
	return c, v.wanted(&c)
}

func (v vector) interfaceID(c *claim) error {
	switch v["iid_style"] {
	case "rfc7597":
		c.id = softwire.RFC7597
	case "draft-map-03":
		c.id = softwire.MAP03
	case "":
		if v["ce_address"] != "" {
			return fmt.Errorf("a CE address without iid_style")
		}
	default:
		return fmt.Errorf("iid_style %q", v["iid_style"])
	}
	return nil
}

// input makes the rule. MAP-T maps addresses and ports as MAP-E does (RFC 7599 section 5). A line without a rule says
// what comes of an IPv4 address and a PSID, which is the rule of RFC 7597 appendix A example 5.
func (v vector) input(c *claim) error {
	r := softwire.Rule{BR: netip.MustParseAddr("2001:db8:ffff::1")}
	c.rule = &r
	var err error
	if r.PSIDOffset, err = number(v["psid_offset"], 0); err != nil {
		return err
	}
	if v["br_or_dmr"] != "" && v["kind"] != "map-t" {
		if r.BR, err = netip.ParseAddr(v["br_or_dmr"]); err != nil {
			return err
		}
	}
	switch v["kind"] {
	case "map-e", "map-t":
		c.prefix, err = netip.ParsePrefix(v["end_user_ipv6_prefix"])
		if err != nil {
			return err
		}
	case "ports", "ipip-fixed":
		c.prefix = netip.MustParsePrefix("2001:db8::/56")
	default:
		return fmt.Errorf("kind %q", v["kind"])
	}
	if v["rule_ipv6_prefix"] == "" {
		return v.explicit(c)
	}
	if r.IPv6, err = netip.ParsePrefix(v["rule_ipv6_prefix"]); err != nil {
		return err
	}
	if r.IPv4, err = netip.ParsePrefix(v["rule_ipv4_prefix"]); err != nil {
		return err
	}
	if r.EABits, err = number(v["ea_bits"], -1); err != nil {
		return err
	}
	if r.EABits == 0 && v["psid_len"] != "0" {
		return v.explicitPSID(&r)
	}
	return nil
}

func (v vector) explicit(c *claim) error {
	c.rule.IPv6 = c.prefix
	c.rule.IPv4 = netip.MustParsePrefix("192.0.2.18/32")
	if v["ipv4"] != "" {
		a, err := netip.ParseAddr(v["ipv4"])
		if err != nil {
			return err
		}
		c.rule.IPv4 = netip.PrefixFrom(a, 32)
	}
	return v.explicitPSID(c.rule)
}

func (v vector) explicitPSID(r *softwire.Rule) error {
	value, err := number(v["psid"], -1)
	if err != nil {
		return err
	}
	length, err := number(v["psid_len"], 0)
	if err != nil {
		return err
	}
	r.PSID = &softwire.PSID{Value: uint16(value), Len: length}
	return nil
}

func (v vector) wanted(c *claim) error {
	if v["ipv4"] != "" {
		c.wants("ipv4", v["ipv4"]+"/32", ipv4)
	}
	c.wants("psid", v["psid"], psid)
	if v["psid_len"] != "" {
		c.wants("psid_len", v["psid_len"], psidLen)
	}
	if v["br_or_dmr"] != "" && v["kind"] != "map-t" {
		c.wants("br", address(v["br_or_dmr"]), br)
	}
	v.wantCE(c)
	return v.wantPorts(c)
}

func (v vector) wantCE(c *claim) {
	switch {
	case v["ce_address"] == "":
	case v["kind"] == "ipip-fixed":
		// The line has the interface identifier only, as ::/64.
		c.wants("interface identifier", address(v["ce_address"]), func(s softwire.Softwire) string {
			b := s.CE().As16()
			clear(b[:8])
			return netip.AddrFrom16(b).String()
		})
	default:
		c.wants("ce", address(v["ce_address"]), ce)
	}
}

func (v vector) wantPorts(c *claim) error {
	named, count := v["port_ranges"], v["port_count"]
	if named == "0-65535" {
		// Published as the whole address; port 0 is in no set of ours.
		if count != "65536" {
			return fmt.Errorf("%s ports in %s", count, named)
		}
		named, count = "1-65535", "65535"
	}
	if count != "" {
		c.wants("port_count", count, portCount)
	}
	switch {
	case named == "":
	case v["port_ranges_complete"] == "1":
		c.wants("ports", named, ranges)
	case v["port_ranges_complete"] == "0":
		c.wants("ports", named, someRanges(named))
	default:
		return fmt.Errorf("port_ranges_complete %q", v["port_ranges_complete"])
	}
	return nil
}

func number(s string, missing int) (int, error) {
	if s == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(s, 0, 32)
	return int(n), err
}

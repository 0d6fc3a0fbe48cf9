// Package provider has the mapping rules of the Japanese MAP-E providers, and finds the one that covers a prefix.
package provider

import (
	_ "embed"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"mape-netplan/reconcile/softwire"
)

// Collected in November 2026 from the public repositories that the source column names, since no provider publishes
// its rules. Dated data: providers add rules, and own rules or values in the section override these.
//
//go:embed rules.csv
var table string

const heading = "provider,ipv6,ipv4,ea_bits,psid_offset,br,interface_id,source"

// Auto stands for all providers.
const Auto = "auto"

// Rule is a mapping rule of a provider.
type Rule struct {
	Provider string
	softwire.Rule
	InterfaceID softwire.InterfaceID
}

// names are the providers of the table, with the names of their services.
var names = []struct{ name, service string }{
	{"ocn", "OCN バーチャルコネクト"},
	{"v6plus", "v6プラス"},
	{"biglobe", "BIGLOBE IPv6オプション"},
	{"nuro", "NURO 光"},
}

// Names are the providers that Rules and Find know, without Auto.
func Names() []string {
	var all []string
	for _, n := range names {
		all = append(all, n.name)
	}
	return all
}

// Rules are the rules of one provider, or of all for Auto. The caller owns the slice.
func Rules(name string) ([]Rule, error) {
	if name != Auto && !slices.Contains(Names(), name) {
		return nil, fmt.Errorf("provider %q is unknown: it must be %s or %s", name, Auto, strings.Join(Names(), ", "))
	}
	all, err := parsed()
	if err != nil {
		return nil, err
	}
	if name == Auto {
		return slices.Clone(all), nil
	}
	var rules []Rule
	for _, r := range all {
		if r.Provider == name {
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// parsed is the table, read at its first use: most runs of the program have none.
var parsed = sync.OnceValues(func() ([]Rule, error) { return parse(table) })

// parse reads the table by its commas: no field is quoted, and the last one, source, is not read.
func parse(table string) ([]Rule, error) {
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if lines[0] != heading {
		return nil, fmt.Errorf("rules.csv: line 1: the columns must be %s", heading)
	}
	rules := make([]Rule, len(lines)-1)
	for i, line := range lines[1:] {
		if err := rules[i].parse(line); err != nil {
			return nil, fmt.Errorf("rules.csv: line %d: %w", i+2, err)
		}
	}
	return rules, nil
}

func (r *Rule) parse(line string) (err error) {
	field := strings.SplitN(line, ",", 8)
	if len(field) != 8 || strings.Contains(line, `"`) {
		return fmt.Errorf("must have 8 unquoted fields")
	}
	r.Provider = field[0]
	if r.IPv6, err = netip.ParsePrefix(field[1]); err != nil {
		return err
	}
	if r.IPv4, err = netip.ParsePrefix(field[2]); err != nil {
		return err
	}
	if r.EABits, err = strconv.Atoi(field[3]); err != nil {
		return err
	}
	if r.PSIDOffset, err = strconv.Atoi(field[4]); err != nil {
		return err
	}
	if r.BR, err = netip.ParseAddr(field[5]); err != nil {
		return err
	}
	return r.InterfaceID.UnmarshalText([]byte(field[6]))
}

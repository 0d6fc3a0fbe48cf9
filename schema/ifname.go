package schema

import (
	"errors"
	"fmt"
	"strings"
)

// name is that of a network interface.
func name(dst *string) value { return interfaceName("an interface name", dst) }

func interfaceName(want string, dst *string) scalar[string] {
	kind := Kind{want, "interface", "インターフェース", map[string]any{"$ref": "#/$defs/interface"}}
	return scalar[string]{Kind: kind, dst: dst, parse: parseName}
}

// names is a name or a list of them.
func names(dst *[]string) value {
	kind := Kind{"an interface name or a list of them", "interface, or a list", "インターフェース、またはリスト", nil}
	return oneOrMore[string]{kind, dst, interfaceName("an interface name such as eth1", nil), 0, maxRanges}
}

// occupied are names that mean something else to the system.
var occupied = map[string]string{
	"auto": "leave the key out for that", "none": "if no LAN is meant, write []", "lo": "the loopback interface", "ip6tnl0": "the kernel's ip6_tunnel module makes it",
	"all": "the kernel's word for every interface", "default": "the kernel's word for interfaces to come",
	".": "a directory", "..": "a directory",
}

// parseName refuses what the kernel refuses (dev_valid_name: no slash, colon
// or space, less than 16 bytes), what networkd does besides (ifname_valid: only
// ASCII, not a number, no percent sign) and what would be taken for a pattern
// in the files that we write.
func parseName(s string) (string, error) {
	bad := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:%"'\*?[!@`, r) })
	switch {
	case s == "" || strings.Trim(s, "0123456789") == "":
		return "", errMalformed
	case occupied[s] != "":
		return "", errors.New(occupied[s])
	case bad > 0 && s[bad] == '@':
		return "", fmt.Errorf("write %q, without what follows the @", clip(s[:bad]))
	case bad >= 0:
		return "", fmt.Errorf("%q is not allowed", []rune(s[bad:])[0])
	case len(s) > 15:
		return "", fmt.Errorf("%d bytes; at most 15 are allowed", len(s))
	}
	return s, nil
}

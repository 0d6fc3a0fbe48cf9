package schema

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

var interfaceSchema = map[string]any{"$ref": "#/$defs/interface"}

// name is that of a network interface.
type name struct{ dst *string }

func (name) kind() Kind {
	return Kind{"an interface name", "interface", "インターフェース", interfaceSchema}
}

func (v name) read(p *parser, path string, n *yaml.Node, want string) {
	readText(p, path, n, want, v.dst, parseName)
}

// names is a name or a list of them.
type names struct{ dst *[]string }

func (names) kind() Kind {
	return Kind{"an interface name or a list of them", "interface, or a list", "インターフェース、またはリスト",
		map[string]any{"anyOf": []any{interfaceSchema, map[string]any{"type": "array", "items": interfaceSchema, "uniqueItems": true}}}}
}

func (v names) read(p *parser, path string, n *yaml.Node, want string) {
	if n.Kind != yaml.SequenceNode {
		readText(p, path, n, want, v.dst, func(s string) ([]string, error) {
			if s == "none" {
				return nil, errors.New("for no LAN write []")
			}
			one, err := parseName(s)
			return []string{one}, err
		})
		return
	}
	*v.dst = []string{}
	p.items(path, n, func(path string, item *yaml.Node) {
		var one string
		name{&one}.read(p, path, item, "an interface name such as eth1")
		*v.dst = append(*v.dst, one)
	})
}

// occupied are names that mean something else to the system.
var occupied = map[string]string{
	"auto": "leave the key out for that", "lo": "the loopback interface", "ip6tnl0": "the kernel's ip6_tunnel module makes it",
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

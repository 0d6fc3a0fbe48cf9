package schema

import (
	"errors"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// name is that of a network interface.
type name struct{ dst *string }

func (name) want() string { return "the name of an interface such as eth1" }

func (v name) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, parseName)
}

// names is a name or a list of them.
type names struct{ dst *[]string }

func (names) want() string { return "the name of an interface such as eth0, or a list of them" }

func (v names) read(p *parser, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		readText(p, path, n, v.want(), v.dst, func(s string) ([]string, error) {
			if s == "none" {
				return nil, errors.New(`for no LAN write "[]"`)
			}
			one, err := parseName(s)
			return []string{one}, err
		})
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.wrongType(path, n, v.want())
		return
	}
	*v.dst = []string{}
	p.items(path, n, func(path string, item *yaml.Node) {
		var one string
		readText(p, path, item, name{}.want(), &one, parseName)
		*v.dst = append(*v.dst, one)
	})
}

// occupied are names that mean something else to the system.
var occupied = map[string]string{
	"lo": "the loopback interface, which leads to nobody", "ip6tnl0": "what the kernel's ip6_tunnel module makes for itself",
	"all": "the kernel's word for every interface", "default": "the kernel's word for interfaces to come",
	".": "a directory", "..": "a directory",
}

// parseName refuses what the kernel refuses (dev_valid_name: no slash, colon
// or space, less than 16 bytes), what networkd does besides (ifname_valid: only
// ASCII, not a number, no percent sign) and what would be taken for a pattern
// in the files that we write.
func parseName(s string) (string, error) {
	bare, _, at := strings.Cut(s, "@")
	var reason string
	switch {
	case s == "":
		reason = "is empty; write the name of an interface such as eth1"
	case s == "auto":
		reason = "is what happens without this key; leave it out"
	case occupied[s] != "":
		reason = "is " + occupied[s] + "; write the name of an interface such as eth1"
	case at && bare != "":
		reason = "is how ip link prints it; write " + quote(bare) + ", without what is after the @"
	case strings.ContainsAny(s, "*?[!"):
		reason = "is a pattern; write each name in full, such as eth1"
	case len(s) > 15:
		reason = fmt.Sprintf("has %d bytes; the name of an interface has at most 15", len(s))
	case strings.Trim(s, "0123456789") == "":
		reason = "is a number; write the name of an interface such as eth1"
	default:
		bad := strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/:%"'\`, r) })
		if bad < 0 {
			return s, nil
		}
		reason = fmt.Sprintf("cannot be the name of an interface: %q is not allowed in one", []rune(s[bad:])[0])
	}
	return "", errors.New(quote(s) + " " + reason)
}

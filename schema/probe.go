package schema

import (
	"fmt"
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxProbe bounds how long a live probe of servers that are all silent takes.
const maxProbe = 8

// probe is one server on the internet or a list of them.
type probe struct{ dst *[]netip.AddrPort }

func (probe) want() string {
	return "the IPv4 address of a server on the internet such as 1.1.1.1, with a port if another than 53 is meant, or a list of them"
}

func (v probe) read(p *parser, path string, n *yaml.Node) {
	*v.dst = []netip.AddrPort{}
	one := func(path string, n *yaml.Node) {
		var e netip.AddrPort
		readText(p, path, n, probe{}.want(), &e, parseServer)
		*v.dst = append(*v.dst, e)
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		one(path, n)
	case n.Kind != yaml.SequenceNode:
		p.wrongType(path, n, v.want())
	case len(n.Content) == 0:
		p.report(at(n), path, "is an empty list; write %s, or leave the key out", v.want())
	case len(n.Content) > maxProbe:
		p.report(at(n), path, "has %d servers; a probe asks at most %d", len(n.Content), maxProbe)
	default:
		p.items(path, n, one)
	}
}

// parseServer refuses what a packet through the tunnel does not reach: the
// tunnel leads to the internet.
func parseServer(s string) (netip.AddrPort, error) {
	host, port, given := strings.Cut(s, ":")
	if strings.Contains(port, ":") {
		host, given = s, false // IPv6: the address' own error says so.
	}
	a, err := ipv4.parseAddr(host)
	switch {
	case err != nil:
		return netip.AddrPort{}, err
	case a.IsPrivate():
		return netip.AddrPort{}, fmt.Errorf("%s is a private address, and the tunnel does not lead there; write that of a server on the internet, such as 1.1.1.1", a)
	case !given:
		return netip.AddrPortFrom(a, 0), nil
	}
	r, err := parseRange(port)
	if err == nil && r.size() > 1 {
		err = fmt.Errorf("%s has several ports; write one, such as %s:53", quote(s), a)
	}
	return netip.AddrPortFrom(a, r.First), err
}

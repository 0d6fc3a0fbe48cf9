package schema

import (
	"fmt"
	"net/netip"
	"strings"

	"gopkg.in/yaml.v3"
)

// A family is IPv4 or IPv6, with the addresses that RFC 5737 and RFC 3849
// keep for examples.
type family struct {
	name            string
	bits            int
	address, prefix string
}

var (
	ipv4 = family{"IPv4", 32, "192.0.2.18", "192.0.2.0/24"}
	ipv6 = family{"IPv6", 128, "2001:db8::1", "2001:db8::/40"}
)

// address is an IPv6 address of one machine.
type address struct{ dst *netip.Addr }

func (address) want() string { return "an IPv6 address such as " + ipv6.address }

func (v address) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, ipv6.parseAddr)
}

// prefix is that of a rule, which has nothing set after its length.
type prefix struct {
	dst *netip.Prefix
	family
}

func (v prefix) want() string { return fmt.Sprintf("an %s prefix such as %s", v.name, v.family.prefix) }

func (v prefix) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, v.parsePrefix)
}

// sharedAddress is the IPv4 address of a softwire, or the prefix that one has
// to itself.
type sharedAddress struct{ dst *netip.Prefix }

func (sharedAddress) want() string { return "an IPv4 address such as " + ipv4.address }

func (v sharedAddress) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, func(s string) (netip.Prefix, error) {
		if strings.Contains(s, "/") {
			return ipv4.parsePrefix(s)
		}
		a, err := ipv4.parseAddr(s)
		return netip.PrefixFrom(a, 32), err
	})
}

// linePrefix is the prefix of the line, or an address in it.
type linePrefix struct{ dst *netip.Prefix }

func (linePrefix) want() string { return "auto or the line's prefix such as 2001:db8:12c0:f200::/56" }

func (v linePrefix) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, ParsePrefix)
}

// ParsePrefix reads the prefix of a line as the section writes it, for command
// lines that replace it: "auto", which is the invalid Prefix, a prefix or an
// address. Nobody masks by hand what ip addr prints, so that the bits after
// the length are dropped.
func ParsePrefix(s string) (netip.Prefix, error) {
	if s == "auto" {
		return netip.Prefix{}, nil
	}
	head, length, ok := strings.Cut(s, "/")
	if _, err := netip.ParseAddr(narrow(head)); err != nil {
		return netip.Prefix{}, fmt.Errorf("%s is neither auto nor an IPv6 prefix%s; write one such as 2001:db8:12c0:f200::/56", quote(s), reason(err))
	}
	a, err := ipv6.parseAddr(head)
	if err != nil || !ok {
		return netip.PrefixFrom(a, 128), err
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, ipv6.badLength(s, length)
	}
	return p.Masked(), nil
}

func readText[T any](p *parser, path string, n *yaml.Node, want string, dst *T, parse func(string) (T, error)) {
	s, ok := p.text(path, n, want)
	if !ok {
		return
	}
	v, err := parse(s)
	if err != nil {
		p.report(at(n), path, "%v", err)
		return
	}
	*dst = v
}

func (f family) parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, f.badAddr(s, err)
	}
	switch {
	case a.Zone() != "":
		err = fmt.Errorf("%s names an interface; write an address that is valid everywhere, such as %s", quote(s), f.address)
	case a.Unmap().BitLen() != f.bits:
		err = fmt.Errorf("%s is not an %s address; write one such as %s", s, f.name, f.address)
	case !a.IsGlobalUnicast():
		err = fmt.Errorf("%s is %s; write an address that is valid everywhere, such as %s", s, special(a), f.address)
	}
	return a, err
}

func (f family) badAddr(s string, err error) error {
	if head, _, ok := strings.Cut(s, "/"); ok && head != "" {
		return fmt.Errorf("%s is a prefix; write an address such as %s", quote(s), f.address)
	}
	if a, err := netip.ParseAddr(narrow(s)); err == nil {
		return fmt.Errorf("%s is not ASCII; write %s", quote(s), a)
	}
	return fmt.Errorf("%s is not an %s address%s; write one such as %s", quote(s), f.name, reason(err), f.address)
}

// reason is what net/netip says after repeating its input.
func reason(err error) string {
	_, after, ok := strings.Cut(err.Error(), "): ")
	if !ok || after == "unable to parse IP" {
		return ""
	}
	after, _, _ = strings.Cut(after, " (at ")
	return " (" + after + ")"
}

func special(a netip.Addr) string {
	switch {
	case a.IsUnspecified():
		return "no address"
	case a.IsLoopback():
		return "this machine itself"
	case a.IsMulticast():
		return "a multicast address"
	case a.IsLinkLocalUnicast():
		return "a link-local address"
	}
	return "a broadcast address"
}

func (f family) parsePrefix(s string) (netip.Prefix, error) {
	head, length, ok := strings.Cut(s, "/")
	a, err := f.parseAddr(head)
	switch {
	case err != nil:
		return netip.Prefix{}, err
	case !ok:
		return netip.Prefix{}, fmt.Errorf("%s has no length; write a prefix such as %s", s, f.prefix)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, f.badLength(s, length)
	}
	if p.Addr() != p.Masked().Addr() {
		return p, fmt.Errorf("%s has bits set after the first %s; write %s, or %s/%d for this one address", s, length, p.Masked(), a, f.bits)
	}
	return p, nil
}

func (f family) badLength(s, length string) error {
	if length == "" {
		return fmt.Errorf("%s has no length after the slash; it is from 0 to %d", quote(s), f.bits)
	}
	return fmt.Errorf("%s has the length %s; it is from 0 to %d", quote(s), quote(length), f.bits)
}

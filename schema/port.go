package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

const (
	maxPort = 0xffff
	// maxRanges is more than a port set has. A bound keeps aliases of a long
	// list from taking memory for each.
	maxRanges = 1024
	// maxServers bounds how long a live probe of silent servers takes.
	maxServers = 8
)

// String is how a section writes it.
func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (r PortRange) size() int { return int(r.Last) - int(r.First) + 1 }

// ports is a port, a range of them or a list of both.
func ports(dst *[]PortRange) value {
	kind := Kind{"a port, a range, or a list of both", "port, range, or a list of both", "ポート、範囲、または両方のリスト", nil}
	one := Kind{"a port or a range such as 5184-5187", "", "", map[string]any{"$ref": "#/$defs/ports"}}
	return oneOrMore[PortRange]{kind, dst, scalar[PortRange]{Kind: one, parse: parseRange, numbers: true}, 1, maxRanges}
}

var (
	digitsRange = regexp.MustCompile(`^([0-9]+)(?:-([0-9]+))?$`)
	errPort     = errors.New("ports are from 1 to 65535")
)

// parseRange reads 5184 or 5184-5187.
func parseRange(s string) (PortRange, error) {
	m := digitsRange.FindStringSubmatch(s)
	if m == nil {
		return PortRange{}, errMalformed
	}
	if m[2] == "" {
		m[2] = m[1]
	}
	first, err := strconv.ParseUint(m[1], 10, 16)
	last, err2 := strconv.ParseUint(m[2], 10, 16)
	switch {
	case err != nil || err2 != nil || first == 0 || last == 0:
		return PortRange{}, errPort
	case m[1][0] == '0' || m[2][0] == '0':
		return PortRange{}, errors.New("a leading zero is octal to some programs; remove it")
	case last < first:
		return PortRange{}, fmt.Errorf("write %d-%d", last, first)
	}
	return PortRange{uint16(first), uint16(last)}, nil
}

// An endpoint is a host, and ports of it unless these are left open.
type endpoint struct {
	addr  netip.Addr
	ports PortRange
}

// reserved are the blocks that Linux routes nowhere: RFC 1122, section 3.2.1.3,
// and RFC 1112, section 4.
var reserved = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4")}

func parseEndpoint(s string) (endpoint, error) {
	if ip6, err := netip.ParseAddrPort(s); err == nil && ip6.Addr().Is6() {
		s = ip6.Addr().String()
	}
	if ip6, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && ip6.Is6() {
		return endpoint{}, errors.New("the tunnel carries only IPv4")
	}
	host, port, hasPort := strings.Cut(s, ":")
	a, err := parseAddr(host, 32)
	for _, block := range reserved {
		if err == nil && block.Contains(a) {
			err = fmt.Errorf("%s is reserved", block)
		}
	}
	e := endpoint{addr: a}
	if err == nil && hasPort {
		e.ports, err = parseRange(port)
	}
	return e, err
}

// target is where a forward goes. The kernel drops what comes from elsewhere for
// a loopback address (RFC 1122, section 3.2.1.3 (g)).
func target(dst *endpoint) value {
	return scalar[endpoint]{dst: dst, parse: parseEndpoint,
		Kind: Kind{"an IPv4 address with or without a port", "IPv4 address, with or without ports", "IPv4 アドレス(ポートを付けてもよい)",
			map[string]any{"type": "string", "pattern": `^[0-9]+(\.[0-9]+){3}(:[0-9]+(-[0-9]+)?)?$`}}}
}

// probe is one server on the internet or a list of them.
func probe(dst *[]netip.AddrPort) value {
	kind := Kind{"a public IPv4 address, with or without a port, or a list of up to 8", "IPv4 address with or without a port, or a list of up to 8",
		"IPv4 アドレス(ポートを付けてもよい)、または 8 個までのリスト", nil}
	one := Kind{"a public IPv4 address such as 1.1.1.1 or 1.1.1.1:53", "", "", map[string]any{"$ref": "#/$defs/server"}}
	return oneOrMore[netip.AddrPort]{kind, dst, scalar[netip.AddrPort]{Kind: one, parse: parseServer}, 1, maxServers}
}

func parseServer(s string) (netip.AddrPort, error) {
	e, err := parseEndpoint(s)
	switch {
	case err != nil:
	case e.addr.IsPrivate():
		err = errors.New("a private address; the tunnel leads to the internet")
	case e.ports.size() > 1 && e.ports.First > 0:
		err = errors.New("several ports")
	}
	return netip.AddrPortFrom(e.addr, e.ports.First), err
}

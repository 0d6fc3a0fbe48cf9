package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// An endpoint is where a forward goes: an address, and ports unless the numbers
// are kept.
type endpoint struct {
	addr  netip.Addr
	ports PortRange
}

// String is how a section writes it.
func (e endpoint) String() string {
	if e.ports.First == 0 {
		return e.addr.String()
	}
	return fmt.Sprintf("%s:%s", e.addr, e.ports)
}

// target is an endpoint in the LAN.
type target struct{ dst *endpoint }

const oneMachine = "the IPv4 address of one machine, such as 192.168.1.10"

func (target) want() string { return oneMachine + ", with a port if another is meant: 192.168.1.10:22" }

func (v target) read(p *parser, path string, n *yaml.Node) {
	readText(p, path, n, v.want(), v.dst, parseEndpoint)
}

func parseEndpoint(s string) (endpoint, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil && a.Is6() {
		return endpoint{}, checkMachine(a)
	}
	if to, err := netip.ParseAddrPort(s); err == nil && to.Addr().Is6() {
		return endpoint{}, checkMachine(to.Addr())
	}
	host, port, given := strings.Cut(s, ":")
	a, err := netip.ParseAddr(host)
	if err != nil {
		return endpoint{}, badMachine(s, host, err)
	}
	e := endpoint{addr: a}
	if err = checkMachine(a); err == nil && given {
		e.ports, err = parseRange(port)
		if port == "" {
			err = fmt.Errorf("%s has no port after the colon; write one such as %s:22, or no colon to keep the numbers", quote(s), a)
		}
	}
	return e, err
}

// reserved are the blocks that Linux takes for no machine's: RFC 1122, section
// 3.2.1.3, and RFC 1112, section 4.
var reserved = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("240.0.0.0/4")}

// checkMachine refuses what no packet from the tunnel can be sent on to.
func checkMachine(a netip.Addr) error {
	switch {
	case a.Is4In6():
		return fmt.Errorf("%s is an IPv4 address in IPv6's form; write %s", a, a.Unmap())
	case a.Is6():
		return fmt.Errorf("%s is an IPv6 address, and the tunnel brings only IPv4; write %s", a.WithZone(""), oneMachine)
	case a.IsLoopback():
		return fmt.Errorf("%s; write the gateway's own address in the LAN", loopback(a.String()))
	case !a.IsGlobalUnicast():
		return fmt.Errorf("%s is %s; write %s", a, special(a), oneMachine)
	}
	for _, block := range reserved {
		if block.Contains(a) {
			return fmt.Errorf("%s is in %s, which no machine has; write %s", a, block, oneMachine)
		}
	}
	return nil
}

// loopback says why: the kernel drops what comes from elsewhere for it
// (RFC 1122, section 3.2.1.3 (g)).
func loopback(s string) string { return s + " cannot be reached from outside" }

// badMachine says what is wrong with what is not even an address.
func badMachine(s, host string, err error) error {
	if ascii := narrow(s); ascii != s {
		if e, err := parseEndpoint(ascii); err == nil {
			return fmt.Errorf("%s is not ASCII or has spaces; write %s", quote(s), e)
		}
	}
	head, _, slash := strings.Cut(s, "/")
	_, noAddress := netip.ParseAddr(head)
	switch {
	case host == "":
		return fmt.Errorf("%s has no address; write %s", quote(s), oneMachine)
	case strings.Contains(s, "://"):
		return fmt.Errorf("%s is a URL; write %s", quote(s), oneMachine)
	case slash && noAddress == nil:
		return fmt.Errorf("%s is a prefix; write %s", quote(s), oneMachine)
	case host == "localhost":
		return errors.New(loopback(host) + "; write the gateway's own address in the LAN")
	case strings.ContainsFunc(host, unicode.IsLetter) && !slash:
		return fmt.Errorf("%s is a name; write %s", quote(host), oneMachine)
	}
	return fmt.Errorf("%s is not an IPv4 address%s; write %s", quote(host), reason(err), oneMachine)
}

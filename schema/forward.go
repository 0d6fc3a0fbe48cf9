package schema

import (
	"fmt"
	"net/netip"

	"gopkg.in/yaml.v3"
)

// A forward is a Forward with all that its "to" has.
type forward struct {
	Forward
	to endpoint
}

func (c *Config) readForward(p *parser, path string, n *yaml.Node, want string) {
	var f forward
	p.mapping(path, n, f.keys(), want)
	f.To = netip.AddrPortFrom(f.to.addr, f.to.ports.First)
	p.checkLength(path+".to", f)
	p.claim(path, f.Forward)
	c.Forwards = append(c.Forwards, f.Forward)
}

// checkLength demands one port to go to for every forwarded one.
func (p *parser) checkLength(path string, f forward) {
	ports := 0
	for _, r := range f.Ports {
		if r == (PortRange{}) {
			return // it was reported
		}
		ports += r.size()
	}
	to := f.to.ports
	if to.First == 0 || ports == 0 || to.size() == ports {
		return
	}
	p.report(p.value(path), path, `must have as many ports as "port", %d, or none to keep the numbers; it has %d`, ports, to.size())
}

// claim reports what an entry forwards that was forwarded before, once for each
// of its ranges and each place. It looks at a range no further after that, so
// that its work is bounded by the number of ports and not by what a file
// repeats.
func (p *parser) claim(path string, f Forward) {
	// A protocol that was reported is "" and conflicts with nothing.
	protocols := map[string][]string{"tcp": {"tcp"}, "udp": {"udp"}, "both": {"tcp", "udp"}}[f.Protocol]
	for i, r := range f.Ports {
		inner := fmt.Sprintf("%s.port[%d]", path, i)
		if !p.has(inner) {
			inner = path + ".port"
		}
		reported := ""
		for _, protocol := range protocols {
			if port, other := p.claimRange(inner, protocol, r); other != reported && other != "" {
				p.report(p.value(inner), inner, "%s port %d conflicts with %s on line %d", protocol, port, other, p.value(other).line)
				reported = other
			}
		}
	}
}

// claimRange returns the first port that is claimed already, and by which path.
func (p *parser) claimRange(path, protocol string, r PortRange) (int, string) {
	for port := int(r.First); port > 0 && port <= int(r.Last); port++ {
		f := flow{protocol, uint16(port)}
		if other, taken := p.claims[f]; taken {
			return port, other
		}
		p.claims[f] = path
	}
	return 0, ""
}

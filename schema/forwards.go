package schema

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// forwards is a list of mappings. An empty one is none, which is what a
// template makes of no entries.
type forwards struct{ c *Config }

func (forwards) want() string { return "a list such as [{port: 5184, to: \"192.168.1.10:22\"}]" }

func (v forwards) read(p *parser, path string, n *yaml.Node) {
	all := claims{}
	p.mappings(path, n, v.want(), func(path string, item *yaml.Node) {
		var f forward
		p.mapping(path, item, f.keys())
		if !p.has(path + ".protocol") {
			f.Protocol = "both"
		}
		f.To = netip.AddrPortFrom(f.to.addr, f.to.ports.First)
		p.checkLength(path+".to", f)
		p.claim(all, path, f.Forward)
		v.c.Forwards = append(v.c.Forwards, f.Forward)
	})
}

// A forward is a Forward with all that its "to" says.
type forward struct {
	Forward
	to endpoint
}

// checkLength lets every port have one port to go to.
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
	write := "as many as that"
	if last := int(to.First) + ports - 1; last <= maxPort {
		write = endpoint{f.to.addr, PortRange{to.First, uint16(last)}}.String()
	}
	p.report(p.value(path), path, `%s has %s, and "port" has %d; write %s, or no port to keep the numbers`,
		f.to, count(to.size()), ports, write)
}

func count(ports int) string {
	if ports == 1 {
		return "one port"
	}
	return fmt.Sprintf("%d ports", ports)
}

// A flow is what can be forwarded only once.
type flow struct {
	protocol string
	port     uint16
}

// claims are the paths that forward each flow.
type claims map[flow]string

// claim reports what an entry forwards that was forwarded before, once for each
// of its ranges. It looks at a port no more after that, so that its work is
// bounded by the number of ports and not by what a file repeats.
func (p *parser) claim(all claims, path string, f Forward) {
	protocols := []string{f.Protocol}
	switch f.Protocol {
	case "both":
		protocols = []string{"tcp", "udp"}
	case "": // a mistake, which is to bring no others
		protocols = []string{path}
	}
	for i, r := range f.Ports {
		inner := fmt.Sprintf("%s.port[%d]", path, i)
		if !p.has(inner) {
			inner = path + ".port"
		}
		p.claimRange(all, path, inner, protocols, r)
	}
}

func (p *parser) claimRange(all claims, entry, path string, protocols []string, r PortRange) {
	for port := int(r.First); port > 0 && port <= int(r.Last); port++ {
		clashes := map[string]string(nil) // which protocols, by path
		for _, protocol := range protocols {
			f := flow{protocol, uint16(port)}
			other, taken := all[f]
			if !taken {
				all[f] = path
				continue
			}
			if clashes == nil {
				clashes = map[string]string{}
			} else if clashes[other] != "" {
				protocol = clashes[other] + " and " + protocol
			}
			clashes[other] = protocol
		}
		for _, other := range slices.Sorted(maps.Keys(clashes)) {
			p.reportClash(entry, path, other, port, clashes[other])
		}
		if clashes != nil {
			return
		}
	}
}

func (p *parser) reportClash(entry, path, other string, port int, protocols string) {
	rival := p.value(other)
	if strings.HasPrefix(other, entry+".") {
		p.reportRival(p.value(path), rival, path, "port %d is also in %s, on line %d", port, other, rival.line)
		return
	}
	p.reportRival(p.value(path), rival, path, "port %d (%s) is also in %s, on line %d; it can go to one place only",
		port, protocols, other, rival.line)
}

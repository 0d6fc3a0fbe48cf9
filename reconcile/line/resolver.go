package line

import (
	"net/netip"
	"slices"
	"strings"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/networkd"
)

// mostResolvers bounds how long a question takes if none of them answers.
const mostResolvers = 4

// Resolvers are those that networkd has for a link (DNS= of its state file:
// configured ones, then DHCP's, then those of router advertisements), without
// systemd-resolved, which may ask another link's.
func Resolvers(h *host.Host, l kernel.Link) []netip.AddrPort {
	told, _ := networkd.LinkState(h, l.Index, "DNS")
	return ResolversOf(strings.Fields(told), l.Name)
}

// LineResolvers are the line's own, which are asked over IPv6: networkd's for the
// WAN, or where it has none, those of resolv.conf.
func LineResolvers(h *host.Host, wan kernel.Link) []netip.AddrPort {
	over6 := func(all []netip.AddrPort) []netip.AddrPort {
		return slices.DeleteFunc(all, func(a netip.AddrPort) bool { return a.Addr().Is4() })
	}
	all := over6(Resolvers(h, wan))
	for _, file := range []string{"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"} {
		if len(all) > 0 {
			break
		}
		data, _ := h.ReadFile(file)
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "nameserver" {
				all = append(all, over6(ResolversOf(fields[1:2], wan.Name))...)
			}
		}
	}
	return all[:min(len(all), mostResolvers)]
}

// ResolversOf reads addresses as networkd and resolv.conf have them:
// "2001:db8::1", "fe80::1%2", "[2001:db8::1]:53%2#name". Addresses of this
// machine are left out.
func ResolversOf(words []string, link string) []netip.AddrPort {
	var all []netip.AddrPort
	for _, word := range words {
		word, _, _ = strings.Cut(word, "#")
		if bracket, port, ok := strings.Cut(word, "]"); ok {
			port, _, _ = strings.Cut(port, "%")
			word = bracket + "]" + port
		}
		server, err := netip.ParseAddrPort(word)
		if err != nil {
			address, err := netip.ParseAddr(word)
			if err != nil {
				continue
			}
			server = netip.AddrPortFrom(address, 53)
		}
		a := server.Addr()
		if a.Is4In6() || a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() {
			continue
		}
		if a.IsLinkLocalUnicast() {
			server = netip.AddrPortFrom(a.WithZone(link), server.Port())
		}
		if !slices.Contains(all, server) {
			all = append(all, server)
		}
	}
	return all
}

package symptom

import (
	"context"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/gateway"
)

// A Link is the state of an interface, without its addresses.
type Link struct {
	Name      string `json:"name"`
	Up        bool   `json:"up"`                   // administratively
	Carrier   bool   `json:"carrier"`              // the other end is there
	Speed     int    `json:"speed,omitempty"`      // in Mb/s; 0 is not known
	AcceptRA  string `json:"accept_ra,omitempty"`  // the kernel's: 0, 1 or 2
	Forward   string `json:"forwarding,omitempty"` // the kernel's for IPv6: 0 or 1
	Disabled  bool   `json:"ipv6_disabled,omitempty"`
	LinkLocal bool   `json:"link_local"` // it has an address fe80::…
	// Duplicate: another host has its link-local address.
	Duplicate bool `json:"link_local_duplicate,omitempty"`
	// Unforwarded: the kernel forwards IPv4, but not from this link.
	Unforwarded bool `json:"ipv4_unforwarded,omitempty"`
	// Networkd is IPv6AcceptRA= of its .network file, "yes" or "no"; "" if that does not set it.
	Networkd string `json:"networkd_accept_ra,omitempty"`
	// NoLinkLocal is LinkLocalAddressing= of that file if it leaves out IPv6: "no" or "ipv4".
	NoLinkLocal string `json:"networkd_no_link_local,omitempty"`
}

// links reads the state of every interface, and whether the machine forwards IPv6.
func (g *gatherer) links(_ context.Context, s *Symptoms) error {
	all, err := g.h.Net.LinkList()
	if err != nil {
		return err
	}
	for _, l := range all {
		a := l.Attrs()
		link := Link{
			Name: a.Name, Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Speed: g.speed(a.Name),
			AcceptRA: g.ipv6(a.Name, "accept_ra"), Forward: g.ipv6(a.Name, "forwarding"), Disabled: g.ipv6(a.Name, "disable_ipv6") == "1",
			Unforwarded: gateway.Unforwarded(g.h, a.Name),
		}
		if known, ok := g.f.Link(a.Name); ok {
			file := g.networkFile(known.NetworkFile)
			if accepts, ok := setting(file, "IPv6AcceptRA"); ok {
				link.Networkd = map[bool]string{true: "yes", false: "no"}[isTrue(accepts)]
			}
			if v, ok := setting(file, "LinkLocalAddressing"); ok && v != "ipv6" && !isTrue(v) {
				link.NoLinkLocal = v
			}
			for _, i := range known.Addresses {
				if i.Prefix.Addr().Is6() && i.Prefix.Addr().IsLinkLocalUnicast() {
					link.LinkLocal, link.Duplicate = link.LinkLocal || !i.Failed, link.Duplicate || i.Failed
				}
			}
		}
		s.Links = append(s.Links, link)
	}
	s.Forward = g.ipv6("all", "forwarding") == "1"
	return nil
}

// ipv6 reads a parameter of net.ipv6.conf of a link; "" if there is none.
func (g *gatherer) ipv6(link, key string) string {
	data, err := g.h.Sys.ReadFile("net/ipv6/conf/" + link + "/" + key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// speed is a link's in Mb/s; 0 is not known, as of virtual links.
func (g *gatherer) speed(link string) int {
	data, err := g.h.Root.ReadFile("sys/class/net/" + link + "/speed")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// networkFile is the text of a .network file and its drop-ins.
func (g *gatherer) networkFile(file string) (text string) {
	if file == "" {
		return ""
	}
	paths := []string{file}
	for _, dir := range []string{"/usr/lib", "/run", "/etc"} {
		dropIns, _ := g.h.Glob(path.Join(dir, "systemd/network", path.Base(file)+".d", "*.conf"))
		paths = append(paths, dropIns...)
	}
	for _, p := range paths {
		if data, err := g.h.ReadFile(p); err == nil {
			text += string(data) + "\n"
		}
	}
	return text
}

// setting is the last value of a key in lower case.
func setting(text, key string) (value string, ok bool) {
	for line := range strings.Lines(text) {
		if k, v, is := strings.Cut(line, "="); is && strings.EqualFold(strings.TrimSpace(k), key) {
			value, ok = strings.ToLower(strings.TrimSpace(v)), true
		}
	}
	return value, ok
}

func isTrue(value string) bool {
	return slices.Contains([]string{"yes", "true", "1", "on", "y", "t"}, value)
}

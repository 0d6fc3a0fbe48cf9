package symptom

import (
	"net"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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
	// Networkd is IPv6AcceptRA= of its .network file, "yes" or "no"; "" if that does not set it.
	Networkd string `json:"networkd_accept_ra,omitempty"`
}

// A Router is an IPv6 default route.
type Router struct {
	Link   string     `json:"link"`
	Via    netip.Addr `json:"via,omitzero"`
	RA     bool       `json:"ra"`     // from a router advertisement
	Silent bool       `json:"silent"` // it has not answered neighbour solicitations
}

// links reads the state of every interface, and whether the machine forwards IPv6.
func (e *examination) links() (links []Link, forward bool, err error) {
	all, err := e.h.Net.LinkList()
	if err != nil {
		return nil, false, err
	}
	for _, l := range all {
		a := l.Attrs()
		link := Link{
			Name: a.Name, Up: a.Flags&net.FlagUp != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0, Speed: e.speed(a.Name),
			AcceptRA: e.ipv6(a.Name, "accept_ra"), Forward: e.ipv6(a.Name, "forwarding"), Disabled: e.ipv6(a.Name, "disable_ipv6") == "1",
		}
		if known, ok := e.f.Link(a.Name); ok {
			link.Networkd = e.networkd(known.NetworkFile)
			for _, i := range known.Addresses {
				link.LinkLocal = link.LinkLocal || i.Prefix.Addr().Is6() && i.Prefix.Addr().IsLinkLocalUnicast()
			}
		}
		links = append(links, link)
	}
	return links, e.ipv6("all", "forwarding") == "1", nil
}

// ipv6 reads a parameter of net.ipv6.conf of a link; "" if there is none.
func (e *examination) ipv6(link, key string) string {
	data, err := e.h.Sys.ReadFile("net/ipv6/conf/" + link + "/" + key)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// speed is a link's in Mb/s; 0 is not known, as of virtual links.
func (e *examination) speed(link string) int {
	data, err := e.h.Root.ReadFile("sys/class/net/" + link + "/speed")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

var acceptsRA = regexp.MustCompile(`(?im)^\s*IPv6AcceptRA\s*=\s*(\S+)`)

// networkd is the last IPv6AcceptRA= of a .network file and its drop-ins.
func (e *examination) networkd(file string) string {
	if file == "" {
		return ""
	}
	paths := []string{file}
	for _, dir := range []string{"usr/lib", "run", "etc"} {
		d := path.Join(dir, "systemd/network", path.Base(file)+".d")
		f, err := e.h.Root.Open(d)
		if err != nil {
			continue
		}
		names, _ := f.Readdirnames(-1)
		f.Close()
		slices.Sort(names)
		for _, n := range names {
			if strings.HasSuffix(n, ".conf") {
				paths = append(paths, path.Join("/", d, n))
			}
		}
	}
	accepts := ""
	for _, p := range paths {
		data, err := e.h.Root.ReadFile(strings.TrimPrefix(p, "/"))
		if err != nil {
			continue
		}
		for _, m := range acceptsRA.FindAllSubmatch(data, -1) {
			switch strings.ToLower(string(m[1])) {
			case "yes", "true", "1", "on", "y", "t":
				accepts = "yes"
			default:
				accepts = "no"
			}
		}
	}
	return accepts
}

// routers lists the IPv6 default routes of the main table.
func (e *examination) routers() (routers []Router, err error) {
	all, err := e.h.Net.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Table: unix.RT_TABLE_MAIN, Dst: nil},
		netlink.RT_FILTER_TABLE|netlink.RT_FILTER_DST)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Type != unix.RTN_UNICAST {
			continue
		}
		hops := r.MultiPath
		if len(hops) == 0 {
			hops = []*netlink.NexthopInfo{{LinkIndex: r.LinkIndex, Gw: r.Gw}}
		}
		for _, hop := range hops {
			router := Router{Link: e.name(hop.LinkIndex), RA: r.Protocol == unix.RTPROT_RA}
			router.Via, _ = netip.AddrFromSlice(hop.Gw)
			router.Silent = e.silent(hop.LinkIndex, hop.Gw)
			routers = append(routers, router)
		}
	}
	return routers, nil
}

// silent reports whether neighbour discovery of an address has failed.
func (e *examination) silent(link int, address net.IP) bool {
	all, err := e.h.Net.NeighList(link, netlink.FAMILY_V6)
	return err == nil && slices.ContainsFunc(all, func(n netlink.Neigh) bool {
		return n.IP.Equal(address) && n.State&netlink.NUD_FAILED != 0
	})
}

func (e *examination) name(index int) string {
	for _, l := range e.f.Links {
		if l.Index == index {
			return l.Name
		}
	}
	return ""
}

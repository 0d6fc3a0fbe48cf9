package gateway

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/sysctld"
)

// taken is the error of what others have made by the tunnel's name, or would
// configure it by; nil if there is nothing.
func (g *Gateway) taken(f facts.Facts) error {
	name := g.Tunnel.Link
	const advice = "remove it there, or give ours another name with mape.tunnel"
	if g.Netplan && url.QueryEscape(name) != name {
		return fmt.Errorf("netplan's versions name the file of a tunnel %s in different ways; give it a name of letters, digits, dots, dashes and underscores with mape.tunnel", name)
	}
	if f.Namesake != "" && g.Netplan {
		return fmt.Errorf("%s has the name of our %s, and netplan reads only one of the two; rename it", f.Namesake, netplan.Path)
	}
	if l, there := f.Link(name); there && f.Live && l.Kind == "ip6tnl" && !slices.Contains(f.Owned.Tunnels, name) {
		return fmt.Errorf("there is a tunnel %s already that mape-netplan has not made; run \"ip link del %s\" if it is not needed, or give ours another name with mape.tunnel", name, name)
	}
	if slices.ContainsFunc(f.Definitions, func(d netplan.Definition) bool { return d.ID == name }) {
		return fmt.Errorf("another netplan file defines the tunnel %s already, and netplan would merge the two; %s", name, advice)
	}
	if file := f.Named[name]; file != "" {
		return fmt.Errorf("%s is for %s already; %s", file, name, advice)
	}
	tunnel, ours := kernel.Link{Name: name, Kind: "ip6tnl"}, path.Base(networkd.NetworkPath)
	if g.Netplan {
		ours = netplan.Definition{ID: name}.Network()
		if d, sure := netplan.Of(f.Definitions, tunnel); d != nil && sure && d.Network() < ours {
			return fmt.Errorf("netplan's definition %s matches %s, too, and sorts before it, so networkd would configure the tunnel by it; have it match fewer names", d.ID, name)
		}
	}
	for _, n := range f.Networks {
		if is, _ := n.Selects(tunnel); is && path.Base(n.Path) < ours {
			return fmt.Errorf("%s matches %s, too, and sorts before %s, so networkd would configure the tunnel by it; have it match fewer names", n.Path, name, ours)
		}
	}
	return nil
}

// dormant lists the definitions and files with an IPv4 default route of metric 0
// that the kernel does not have. All are in an image.
func dormant(f facts.Facts) (all []string) {
	note := func(what string, metric *int, is func(kernel.Link) bool) {
		there := f.Live && slices.ContainsFunc(f.Links, func(l kernel.Link) bool { return is(l) && l.Default4 != nil })
		if metric != nil && *metric == 0 && !there {
			all = append(all, what)
		}
	}
	for _, d := range f.Definitions {
		note("netplan's "+d.ID, d.Default4, func(l kernel.Link) bool { return slices.Contains(d.Interfaces, l.Name) })
	}
	for _, n := range f.Networks {
		note(n.Path, n.Default4, func(l kernel.Link) bool { return l.NetworkFile == n.Path })
	}
	return all
}

// overridden are warnings of files that come after ours and say otherwise.
func (g *Gateway) overridden(f facts.Facts) (all []string) {
	for _, name := range g.LAN {
		if d, ok := f.DefinitionOf(name); ok && d.Late != "" && d.AcceptRA != nil && *d.AcceptRA {
			all = append(all, fmt.Sprintf("%s sorts after %s, where accept-ra: true of %s would win, so a drop-in for networkd turns it off", d.Late, netplan.Path, name))
		}
	}
	for _, o := range f.Owned.Overridden {
		all = append(all, fmt.Sprintf("%s, which networkd reads after ours; remove that line", o))
	}
	wants := map[string]string{sysctld.ForwardKey: "1", sysctld.RPFilterKey(g.Tunnel.Link): "2"}
	if g.Conntrack.Max > 0 {
		wants[sysctld.ConntrackMaxKey] = fmt.Sprint(g.Conntrack.Max)
	}
	for _, s := range f.Sysctls {
		if want := wants[s.Key]; want != "" && s.Value != want {
			all = append(all, fmt.Sprintf("%s sets %s to %s, and is read after %s: it is not %s after a boot until mape-netplan has run; remove that line", s.Path, s.Key, s.Value, sysctld.Path, want))
		}
		for _, name := range append(slices.Clone(g.LAN), g.Tunnel.Link, "default") {
			// Ours does not name these, so that a pattern counts as well.
			if is, _ := path.Match(s.Key, sysctld.LinkForwardKey(name)); is && s.Value == "0" {
				all = append(all, fmt.Sprintf("%s sets %s to 0, and is read after %s: packets that arrive by %s are not forwarded after a boot; remove that line", s.Path, s.Key, sysctld.Path,
					strings.Replace(name, "default", "the tunnel", 1)))
				break
			}
		}
	}
	return all
}

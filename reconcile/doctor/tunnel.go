package doctor

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/resource"
)

// relay: does the line have the route to the border relay?
func (d *diagnosis) relay() Finding {
	br, p := d.line.Softwire.BR(), d.s.Relay
	switch {
	case p == nil:
		return skipped("the border relay is not known")
	case p.Error != "":
		return bad(fmt.Sprintf("no route to %s: %s", br, p.Error), fmt.Sprintf("The border relay %s is unreachable: this machine has no IPv6 route to it.", br),
			`Look at "ip -6 route get `+br.String()+`": an unreachable or blackhole route, or a missing default route, is in the way.`)
	case p.Link != d.wan:
		return bad(fmt.Sprintf("the route to %s is through %s", br, p.Link),
			fmt.Sprintf("Packets to the border relay %s leave through %s and not through the line at %s.", br, p.Link, d.wan),
			`Look at "ip -6 route get `+br.String()+`" and remove the route, VPN or router advertisement that causes it.`)
	}
	if !p.Via.IsValid() {
		return good("%s is reached through %s", br, p.Link)
	}
	return good("%s is reached through %s via %s", br, p.Link, p.Via)
}

// tunnel: is it there, and does it send what border relays accept?
func (d *diagnosis) tunnel() Finding {
	t, name := d.s.Tunnel, d.c.Tunnel
	x, differs := d.difference(resource.NoTunnel(name))
	switch {
	case t == nil && d.s.Module == "no":
		return noModule()
	case t == nil:
		return bad("there is no "+name+d.maybeNoModule(), fmt.Sprintf("The tunnel %s is missing.", name), d.last()+d.maybeLoad())
	case t.EncapLimit >= 0:
		return bad(fmt.Sprintf("%s has encaplimit %d", name, t.EncapLimit),
			fmt.Sprintf("Every packet of %s carries a destination options header (encaplimit %d), and providers' border relays silently drop such packets%s.", name, t.EncapLimit, d.silence()),
			d.restore())
	case differs && x.Before != "" && !t.Up:
		return bad(name+" is down", fmt.Sprintf("The tunnel %s is switched off.", name), d.restore())
	case differs && (t.Local != d.line.Softwire.CE() || t.Remote != d.line.Softwire.BR()):
		return bad(fmt.Sprintf("%s goes from %s to %s", name, t.Local, t.Remote),
			fmt.Sprintf("The tunnel %s goes from %s to %s, and the line's are %s and %s: the line's prefix has changed, or the section.", name, t.Local, t.Remote, d.line.Softwire.CE(), d.line.Softwire.BR()),
			d.restore())
	case differs:
		return warning(name+" is not as it should be", fmt.Sprintf("The tunnel %s is not what apply makes it: %s.", name, oneLine(x.Before)), d.restore())
	case t.Filter == "1":
		return bad("strict rp_filter on "+name, fmt.Sprintf("The kernel drops what comes back through %s, because its rp_filter is strict (1).", name), d.restore())
	}
	return good("%s goes to %s, MTU %d", name, t.Remote, t.MTU)
}

// silence is what the counters add to that: packets leave, none comes back.
func (d *diagnosis) silence() string {
	if t := d.s.Tunnel; t.Lately.TX >= symptom.EnoughSent && t.Lately.RX == 0 {
		return fmt.Sprintf(" (%d packets have left while this was watched, and none came back)", t.Lately.TX)
	}
	return ""
}

func noModule() Finding {
	return bad("the kernel has no "+symptom.TunnelModule, "This machine's kernel cannot make the tunnel: it has no module "+symptom.TunnelModule+".",
		`Install and boot a distribution's full kernel, and see with "modprobe `+symptom.TunnelModule+`" that it has the module; in a container, load it on the host.`)
}

// maybeNoModule and maybeLoad are what to add to a finding and its advice if it is not known whether the kernel can make
// a tunnel.
func (d *diagnosis) maybeNoModule() string {
	if d.s.Module != "" {
		return ""
	}
	return ", and it is not known whether the kernel has " + symptom.TunnelModule
}

func (d *diagnosis) maybeLoad() string {
	if d.s.Module != "" {
		return ""
	}
	return ` If that says that the kernel has no ` + symptom.TunnelModule + `, as in a container, run "sudo modprobe ` + symptom.TunnelModule + `", in a container on its host.`
}

// mtu: do packets of full size get through?
func (d *diagnosis) mtu() Finding {
	t := d.s.Tunnel
	if p := d.s.Probe; p != nil && p.Largest > 0 && p.Largest < t.MTU-symptom.Precision && !p.Refused {
		return bad(fmt.Sprintf("packets of more than %d bytes are lost", p.Largest),
			fmt.Sprintf("Packets of more than about %d bytes get lost on the way without an ICMP error (an MTU black hole): small pages work, large ones hang.", p.Largest),
			fmt.Sprintf(`Write "mtu: %d" into the section and run "`+d.command()+`".`, max(1240, p.Largest)))
	}
	wan, _ := d.f.Link(d.wan)
	if most := gateway.InnerMTU(d.line.Softwire, wan.MTU); most > 0 && t.MTU > most {
		return warning(fmt.Sprintf("%s has MTU %d, and %s carries %d", d.c.Tunnel, t.MTU, d.wan, most),
			fmt.Sprintf("The tunnel's MTU %d is more than fits through %s (%d), so large packets are fragmented, and many border relays do not reassemble fragments.", t.MTU, d.wan, most),
			fmt.Sprintf(`Write "mtu: %d" into the section, or leave the key out, and run "`+d.command()+`".`, most))
	}
	if p := d.s.Relay; p != nil && p.MTU > 0 && gateway.InnerMTU(d.line.Softwire, p.MTU) < t.MTU {
		return warning(fmt.Sprintf("the path to the border relay carries %d bytes", p.MTU),
			fmt.Sprintf("The IPv6 path to the border relay carries only %d bytes, so the tunnel's MTU of %d is too large.", p.MTU, t.MTU),
			fmt.Sprintf(`Write "mtu: %d" into the section and run "`+d.command()+`".`, max(1240, gateway.InnerMTU(d.line.Softwire, p.MTU))))
	}
	if p := d.s.Probe; p != nil && p.Largest > 0 {
		return good("packets of %d bytes get through", p.Largest)
	}
	return good("%d for the tunnel fits the line", t.MTU)
}

func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", ", ") }

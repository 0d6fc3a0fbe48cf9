package doctor

import (
	"fmt"
	"path"
	"strings"
)

// tunnelModule is what makes tunnels in the kernel.
const tunnelModule = "ip6_tunnel"

// module says whether the kernel has or can load it, "yes" or "no"; "" is not known, as in a container, which has no
// module files and may use the host's. It is not loaded for that.
func (e *examination) module() string {
	if _, err := e.h.Root.Lstat("sys/module/" + tunnelModule); err == nil {
		return "yes"
	}
	if e.h.Sys == nil {
		return ""
	}
	release, err := e.h.Sys.ReadFile("kernel/osrelease")
	if err != nil {
		return ""
	}
	says := ""
	// "kernel/net/ipv6/ip6_tunnel.ko.xz: kernel/net/ipv6/tunnel6.ko.xz"; without any dependency file nothing can be loaded.
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		data, err := e.h.Root.ReadFile(path.Join("lib/modules", strings.TrimSpace(string(release)), list))
		if err != nil {
			continue
		}
		if strings.Contains(string(data), "/"+tunnelModule+".ko") {
			return "yes"
		}
		if list == "modules.dep" {
			says = "no"
		}
	}
	return says
}

func noModule() Finding {
	return bad("the kernel has no "+tunnelModule, "This machine's kernel cannot make the tunnel: it has no module "+tunnelModule+".",
		`Install and boot a distribution's full kernel, and see with "modprobe `+tunnelModule+`" that it has the module; in a container, load it on the host.`)
}

// refused is a resource that apply cannot even look at, such as another's file at the path of one of ours.
func (d *consult) refused() (Finding, bool) {
	for _, x := range d.s.Differences {
		if x.Error != "" {
			return bad(x.Name+" "+x.Error, "What sets up the gateway refuses: "+x.Name+" "+oneLine(x.Error)+".",
				"Mend that first; then type \""+d.command()+"\"."), true
		}
	}
	return Finding{}, false
}

// setup: has the machine been made a gateway, and if not, could it be?
func (d *consult) setup() Finding {
	other, differs := d.difference("tunnel " + d.c.Tunnel)
	switch {
	case differs && other.Error != "": // Another's interface, as a rule.
		what, _, _ := strings.Cut(other.Error, "; ")
		return bad(d.c.Tunnel+": "+what, fmt.Sprintf("The tunnel %s cannot be made or mended: %s.", d.c.Tunnel, what),
			`Give it another name with "tunnel:" in the section, or remove what has that name; then type "`+d.command()+`".`)
	case d.s.Tunnel != nil || len(d.f.Owned.Files) > 0:
		return good("this machine has been made the line's gateway")
	case d.duplicate(): // The next check says more.
		return skipped("nothing has been set up yet")
	}
	return d.ready()
}

// ready: nothing has been set up, and could it be?
func (d *consult) ready() Finding {
	if d.g == nil { // Everything else of that is said before.
		return d.rival(d.rivals(), "has an IPv4 default route of metric 0")
	}
	if f, ok := d.refused(); ok {
		return f
	}
	if d.s.Module == "no" {
		return noModule()
	}
	if d.s.NoSystemd != "" {
		return bad(d.s.NoSystemd, "Nothing has been set up yet, and the service cannot be: "+d.s.NoSystemd+".",
			"Boot this machine, or the container, with systemd as its init, and have systemd-networkd configure "+d.wan+`; then type "sudo mape-netplan install".`)
	}
	if !d.f.Networkd {
		return bad("systemd-networkd does not run", "Nothing has been set up yet, and systemd-networkd, which keeps the addresses and the tunnel, does not run.",
			`Type "sudo systemctl enable --now systemd-networkd", and have it configure `+d.wan+` (in netplan, renderer: networkd); then type "`+d.command()+`".`)
	}
	if f := d.firewalls(); f.State == Bad {
		f.Advice += ` Then type "` + d.command() + `".`
		return f
	}
	if d.s.Refusal != "" && !d.installed() {
		return bad("install would refuse", d.sentence("The line is there, and install would refuse: "+d.s.Refusal),
			`Do what it says there; then type "`+d.command()+`".`)
	}
	return bad("nothing has been set up yet"+d.maybeNoModule(), "The line is there, and this machine has not been made its gateway yet.", d.mend()+d.maybeLoad())
}

// maybeNoModule and maybeLoad are what is seen, and to be done, where nothing tells whether the kernel can make a tunnel.
func (d *consult) maybeNoModule() string {
	if d.s.Module != "" {
		return ""
	}
	return ", and it is not known whether the kernel has " + tunnelModule
}

func (d *consult) maybeLoad() string {
	if d.s.Module != "" {
		return ""
	}
	return ` If that says that the kernel has no ` + tunnelModule + `, as in a container, type "sudo modprobe ` + tunnelModule + `", in a container on its host.`
}

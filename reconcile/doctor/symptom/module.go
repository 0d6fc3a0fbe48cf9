package symptom

import (
	"context"
	"path"
	"strings"

	"mape-netplan/reconcile/host"
)

// TunnelModule is what makes tunnels in the kernel.
const TunnelModule = "ip6_tunnel"

// module looks for it where there is no tunnel yet.
func (e *examination) module(context.Context) error {
	if e.s.Tunnel == nil {
		e.s.Module = findModule(e.h)
	}
	return nil
}

// findModule says whether the kernel has or can load it, "yes" or "no"; "" is not known, as in a container, which has no
// module files and may use the host's. It is not loaded for that.
func findModule(h *host.Host) string {
	if _, err := h.Root.Lstat("sys/module/" + TunnelModule); err == nil {
		return "yes"
	}
	if h.Sys == nil {
		return ""
	}
	release, err := h.Sys.ReadFile("kernel/osrelease")
	if err != nil {
		return ""
	}
	says := ""
	// "kernel/net/ipv6/ip6_tunnel.ko.xz: kernel/net/ipv6/tunnel6.ko.xz"; without any dependency file nothing can be loaded.
	for _, list := range []string{"modules.builtin", "modules.dep"} {
		data, err := h.Root.ReadFile(path.Join("lib/modules", strings.TrimSpace(string(release)), list))
		if err != nil {
			continue
		}
		if strings.Contains(string(data), "/"+TunnelModule+".ko") {
			return "yes"
		}
		if list == "modules.dep" {
			says = "no"
		}
	}
	return says
}

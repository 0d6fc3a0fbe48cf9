package symptom

import (
	"path"
	"strings"

	"mape-netplan/reconcile/host"
)

// TunnelModule is the kernel module that makes tunnels.
const TunnelModule = "ip6_tunnel"

// module is "yes" if the kernel has or can load it, "no" if not, and "" if that cannot be told, as in a container, which
// has no module files and may use the host's. It does not load it.
func module(h *host.Host) string {
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
	has := ""
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
			has = "no"
		}
	}
	return has
}

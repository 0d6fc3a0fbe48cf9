package reconcile

import (
	"path"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// written are the directories in which the program writes files.
var written = []string{
	"/etc/netplan", "/etc/sysctl.d", networkd.NetworkDir, networkd.NetworkDir + "/*.d", "/etc/systemd/system", "/etc/systemd/system/*.wants",
	path.Dir(discovery.CachePath), "/run",
}

const service = "/etc/systemd/system/mape-netplan.service"

// Sweep removes what a run that was killed has left: files that it had not renamed yet, directories of drop-ins that are
// empty, and a parameter that it had set for a moment. The caller has the lock: another run's are in use.
func Sweep(h *host.Host) {
	for _, dir := range written {
		left, _ := h.Glob(path.Join(dir, host.Temporary("*")))
		for _, p := range left {
			_ = h.Root.Remove(host.Local(p)) // What stays is only untidy.
		}
	}
	for _, pattern := range []string{"/*.network.d", "/*.netdev.d"} {
		left, _ := h.Glob(networkd.NetworkDir + pattern)
		for _, dir := range left {
			h.RemoveEmpty(dir)
		}
	}
	// The service has this directory mounted (ProtectSystem= and StateDirectory=): removed, it would be gone for it until it
	// starts again.
	if _, err := h.Root.Lstat(host.Local(service)); err != nil {
		h.RemoveEmpty(path.Dir(discovery.CachePath))
	}
	resource.EndOptimistic(h)
}

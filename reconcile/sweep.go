package reconcile

import (
	"path"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/networkd"
	"mape-netplan/reconcile/resource"
)

// written are the directories in which the program writes files. Those that go with their last file come before that which
// has their marks.
var written = []string{
	"/etc/netplan", "/etc/sysctl.d", networkd.NetworkDir + "/*.d", networkd.NetworkDir, "/etc/systemd/system/*.wants", "/etc/systemd/system",
	path.Dir(discovery.CachePath), "/run",
}

// Sweep removes what a run that was killed has left: files that it had not renamed yet, directories of
// drop-ins that it had not filled, and a parameter that it had set for a moment. The caller has the lock: another run's are in use.
func Sweep(h *host.Host) {
	for _, dir := range written {
		left, _ := h.Glob(path.Join(dir, host.Temporary("*")))
		for _, p := range left {
			h.SweepMark(p)
		}
	}
	h.RemoveState(path.Dir(discovery.CachePath))
	resource.EndOptimistic(h)
}

// Package sysctld writes and reads the drop-in with the kernel's parameters.
package sysctld

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/host"
)

const (
	SysctlPath = "/etc/sysctl.d/99-mape-gw.conf"
	ForwardKey = "net/ipv4/ip_forward"
	// How many connections the machine remembers, of all kinds. Only the first network namespace has it writable.
	ConntrackMaxKey = "net/netfilter/nf_conntrack_max"
	former          = "# Before, net.ipv4.ip_forward was "
)

// FilterKey is the reverse-path filter of an interface. The kernel takes the
// larger of this and net.ipv4.conf.all.rp_filter, and 2 (loose) is the largest.
func FilterKey(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

// FilterLink is the interface of a key that filterKey made, or of another one below conf; "" is none.
func FilterLink(key string) string {
	link, ok := strings.CutPrefix(key, "net/ipv4/conf/")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(link, "/rp_filter")
}

// SysctlText renders /etc/sysctl.d/99-mape-gw.conf. At boot the tunnel does not
// exist yet when it is read: udev has it read again for each new interface, and
// the dash keeps the first time quiet.
//
// The third line is there when the machine is to remember so many connections at
// most: the module that has the
// parameter may not be loaded yet either.
func SysctlText(tunnel string, most int, formerly string) string {
	var b strings.Builder
	b.WriteString(host.Heading)
	if formerly != "" {
		fmt.Fprintf(&b, "%s%s.\n", former, formerly)
	}
	// Slashes, because an interface's name may have dots.
	fmt.Fprintf(&b, "%s = 1\n-%s = 2\n", ForwardKey, FilterKey(tunnel))
	if most > 0 {
		fmt.Fprintf(&b, "-%s = %d\n", ConntrackMaxKey, most)
	}
	return b.String()
}

// FormerForward reads back what sysctlText noted.
func FormerForward(text string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, former); ok {
			return strings.TrimSuffix(strings.TrimSpace(value), ".")
		}
	}
	return ""
}

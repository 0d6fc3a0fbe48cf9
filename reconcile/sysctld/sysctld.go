// Package sysctld writes and reads the drop-in with the kernel's parameters.
package sysctld

import (
	"fmt"
	"strings"

	"mape-netplan/reconcile/host"
)

const (
	Path       = "/etc/sysctl.d/99-mape-gw.conf"
	ForwardKey = "net/ipv4/ip_forward"
	// How many connections the machine tracks, of all kinds. Only the first network namespace may write it.
	ConntrackMaxKey = "net/netfilter/nf_conntrack_max"
	former          = "# Before, net.ipv4.ip_forward was "
)

// FilterKey is the reverse-path filter of an interface. The kernel takes the
// larger of this and net.ipv4.conf.all.rp_filter, and 2 (loose) is the largest.
func FilterKey(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

// FilterLink is the interface that a key below net/ipv4/conf is for; "" for other keys.
func FilterLink(key string) string {
	link, ok := strings.CutPrefix(key, "net/ipv4/conf/")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(link, "/rp_filter")
}

// Render is the text of Path. The tunnel does not exist yet when systemd reads it
// at boot: udev has it read again for each new interface, and the dash silences
// the first failure. most is how many connections the machine tracks, 0 is the
// kernel's own; the module that has the parameter may not be loaded yet either.
// formerly is net.ipv4.ip_forward before the first run, which the file records.
func Render(tunnel string, most int, formerly string) string {
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

// FormerForward reads back what Render recorded; "" where it recorded nothing.
func FormerForward(text string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, former); ok {
			return strings.TrimSuffix(strings.TrimSpace(value), ".")
		}
	}
	return ""
}

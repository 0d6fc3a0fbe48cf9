// Package sysctld writes and reads the drop-in with the kernel's parameters.
package sysctld

import (
	"fmt"
	"maps"
	"path"
	"slices"
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

// RPFilterKey is the reverse-path filter of an interface. The kernel takes the
// larger of this and net.ipv4.conf.all.rp_filter, and 2 (loose) is the largest.
func RPFilterKey(link string) string { return "net/ipv4/conf/" + link + "/rp_filter" }

// LinkForwardKey is whether IPv4 is forwarded that arrives by an interface. A change of ForwardKey sets it for all.
func LinkForwardKey(link string) string { return "net/ipv4/conf/" + link + "/forwarding" }

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
	fmt.Fprintf(&b, "%s = 1\n-%s = 2\n", ForwardKey, RPFilterKey(tunnel))
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

// A Setting is a line of a file that is read at boot.
type Setting struct {
	Path  string `json:"path"`
	Key   string `json:"key"` // path below /proc/sys
	Value string `json:"value"`
}

// Later lists the settings of the keys that ours has, or may have, in the files that
// systemd-sysctl reads after it: a file shadows those of the same name in later
// directories (sysctl.d(5)). /etc/sysctl.conf is read where a link there leads to it.
func Later(h *host.Host) (all []Setting, err error) {
	at := map[string]string{}
	for _, dir := range []string{"/usr/lib", "/usr/local/lib", "/run", "/etc"} {
		files, err := h.Glob(dir + "/sysctl.d/*.conf")
		if err != nil {
			return nil, err
		}
		for _, p := range files {
			at[path.Base(p)] = p
		}
	}
	paths := []string{}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		if name > path.Base(Path) {
			paths = append(paths, at[name])
		}
	}
	last := map[string]Setting{}
	for _, p := range paths {
		data, err := h.ReadFile(p)
		if err != nil {
			continue // not there, or for root alone
		}
		for line := range strings.Lines(string(data)) {
			key, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "-"), "=")
			if key = slashed(strings.TrimSpace(key)); ok && ours(key) {
				last[key] = Setting{p, key, strings.TrimSpace(value)}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(last)) {
		all = append(all, last[key])
	}
	return all, nil
}

// slashed is a key with slashes: where the first separator is a dot, dots and slashes
// change places (sysctl.d(5)). The kernel's two names of one parameter become one.
func slashed(key string) string {
	if i := strings.IndexAny(key, "./"); i >= 0 && key[i] == '.' {
		key = strings.Map(func(r rune) rune {
			switch r {
			case '.':
				return '/'
			case '/':
				return '.'
			}
			return r
		}, key)
	}
	switch key {
	case "net/ipv4/conf/all/forwarding":
		return ForwardKey
	case "net/nf_conntrack_max":
		return ConntrackMaxKey
	}
	return key
}

func ours(key string) bool {
	forwarding := strings.HasPrefix(key, "net/ipv4/conf/") && strings.HasSuffix(key, "/forwarding")
	return key == ForwardKey || key == ConntrackMaxKey || forwarding || strings.HasSuffix(key, "/rp_filter")
}

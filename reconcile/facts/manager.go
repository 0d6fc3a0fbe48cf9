package facts

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/netplan"
)

// Ifupdown is the manager that reads /etc/network/interfaces; NetworkManager is called as in netplan.
const Ifupdown = "ifupdown"

// managers returns what configures interfaces besides networkd, by their names. The name "" stands for every interface
// that no program's files name.
func managers(h *host.Host, links []kernel.Link) map[string]string {
	all := map[string]string{}
	for _, name := range ifaces(h, "/etc/network/interfaces", map[string]bool{}) {
		all[name] = Ifupdown
	}
	for _, l := range links {
		state, err := h.ReadFile("/run/NetworkManager/devices/" + strconv.Itoa(l.Index))
		if err == nil && slices.Contains(strings.Split(string(state), "\n"), "managed=true") {
			all[l.Name] = netplan.NetworkManager
		}
	}
	// In an image NetworkManager has no state: at its first boot it takes every interface that it is not told to leave alone.
	if !h.Live() && wanted(h, "NetworkManager") && !wanted(h, "systemd-networkd") {
		all[""] = netplan.NetworkManager
	}
	return all
}

// wanted reports whether a unit starts at boot: whether it is linked from a target, by hand or by a generator.
func wanted(h *host.Host, unit string) bool {
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator*", "/usr/lib/systemd/system"} {
		if links, _ := h.Glob(dir + "/*.wants/" + unit + ".service"); len(links) > 0 {
			return true
		}
	}
	return false
}

// ifaces are the interfaces that a file of ifupdown and those that it includes define (interfaces(5)). A file that cannot
// be read defines none. seen are the files so far: one may include itself.
func ifaces(h *host.Host, file string, seen map[string]bool) (names []string) {
	data, err := h.ReadFile(file)
	if err != nil || seen[file] {
		return nil
	}
	seen[file] = true
	for line := range strings.Lines(strings.ReplaceAll(string(data), "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		included := words[1]
		if !path.IsAbs(included) {
			included = path.Join(path.Dir(file), included)
		}
		switch words[0] {
		case "iface":
			names = append(names, words[1])
			continue
		case "source-directory":
			included += "/*"
		case "source":
		default:
			continue
		}
		more, _ := h.Glob(included)
		for _, p := range more {
			names = append(names, ifaces(h, p, seen)...)
		}
	}
	return names
}

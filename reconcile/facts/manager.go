package facts

import (
	"path"
	"regexp"
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
	for _, name := range byIfupdown(h) {
		all[name] = Ifupdown
	}
	// systemd keeps that link while the unit is active. The state of devices outlives NetworkManager.
	_, stopped := h.Root.Lstat("run/systemd/units/invocation:NetworkManager.service")
	for _, l := range links {
		state, err := h.ReadFile("/run/NetworkManager/devices/" + strconv.Itoa(l.Index))
		if stopped == nil && err == nil && slices.Contains(strings.Split(string(state), "\n"), "managed=true") {
			all[l.Name] = netplan.NetworkManager
		}
	}
	// In an image NetworkManager has no state: at its first boot it takes every interface that it is not told to leave alone.
	if !h.Live() && wanted(h, "NetworkManager") && !wanted(h, "systemd-networkd") {
		all[""] = netplan.NetworkManager
	}
	return all
}

// wanted reports whether a unit starts at boot: whether it is there, not masked, and linked from a target, by hand or by a
// generator. A package that was removed leaves the link without the unit.
func wanted(h *host.Host, unit string) bool {
	if target, _ := h.Root.Readlink("etc/systemd/system/" + unit + ".service"); target == "/dev/null" {
		return false
	}
	for _, dir := range []string{"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator*", "/usr/lib/systemd/system"} {
		links, _ := h.Glob(dir + "/*.wants/" + unit + ".service")
		if slices.ContainsFunc(links, func(link string) bool { _, err := h.ReadFile(link); return err == nil }) {
			return true
		}
	}
	return false
}

// interfaces are the words of ifupdown's files (interfaces(5)).
type interfaces struct {
	configured []string // the names of stanzas whose method does something
	auto       []string // the patterns of names that are brought up at boot or when they appear
	seen       map[string]bool
}

// byIfupdown are the interfaces that ifupdown configures on its own.
func byIfupdown(h *host.Host) []string {
	if !wanted(h, "networking") {
		return nil
	}
	all := interfaces{seen: map[string]bool{}}
	all.read(h, "/etc/network/interfaces")
	return slices.DeleteFunc(all.configured, func(name string) bool {
		return !slices.ContainsFunc(all.auto, func(pattern string) bool {
			match, _ := path.Match(strings.TrimPrefix(pattern, "/"), name)
			return match
		})
	})
}

// inDirectory are the names of files that source-directory reads.
var inDirectory = regexp.MustCompile("^[A-Za-z0-9_-]+$")

// read adds a file and those that it includes; one may include itself. A file that cannot be read is empty.
func (i *interfaces) read(h *host.Host, file string) {
	data, err := h.ReadFile(file)
	if err != nil || i.seen[file] {
		return
	}
	i.seen[file] = true
	for line := range strings.Lines(strings.ReplaceAll(string(data), "\\\n", " ")) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		included := words[1]
		if !path.IsAbs(included) {
			included = path.Join(path.Dir(file), included)
		}
		switch keyword := words[0]; {
		case keyword == "iface" && !slices.Contains(words[2:], "manual"):
			i.configured = append(i.configured, words[1])
		case keyword == "auto" || strings.HasPrefix(keyword, "allow-"):
			i.auto = append(i.auto, words[1:]...)
		case keyword == "source" || keyword == "source-directory":
			if keyword == "source-directory" {
				included += "/*"
			}
			more, _ := h.Glob(included)
			for _, p := range more {
				if keyword == "source" || inDirectory.MatchString(path.Base(p)) {
					i.read(h, p)
				}
			}
		}
	}
}

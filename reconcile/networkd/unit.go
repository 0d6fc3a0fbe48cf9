package networkd

import (
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// NetworkUnits lists networkd's .network files in the order in which it reads
// them.
func NetworkUnits(h *host.Host) ([]string, error) {
	at := map[string]string{}
	for _, dir := range []string{"/usr/lib/systemd/network", "/run/systemd/network", NetworkDir} {
		paths, err := h.Glob(dir + "/*.network")
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			at[path.Base(p)] = p
		}
	}
	files := make([]string, 0, len(at))
	for _, p := range at {
		files = append(files, p)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return files, nil
}

// UnitLinks lists the interfaces that .network files of others name: all that
// tells of one where there is no kernel. A pattern names none.
func UnitLinks(h *host.Host) ([]kernel.Link, error) {
	files, err := NetworkUnits(h)
	var links []kernel.Link
	for _, p := range files {
		data, err := h.Root.ReadFile(host.Local(p))
		if err != nil || strings.HasPrefix(string(data), host.Mark) {
			continue
		}
		options, _ := unit.DeserializeOptions(strings.NewReader(string(data)))
		var names []string
		var addresses []kernel.Inet
		for _, option := range options {
			switch {
			case option.Section == "Match" && option.Name == "Name":
				names = strings.Fields(option.Value)
			case option.Section != "Match" && option.Name == "Address":
				if p, err := netip.ParsePrefix(option.Value); err == nil {
					addresses = append(addresses, kernel.Inet{Prefix: p, Origin: kernel.OriginStatic})
				}
			}
		}
		for _, name := range names {
			if !strings.ContainsAny(name, "*?[!") {
				links = append(links, kernel.Link{Name: name, Addresses: addresses})
			}
		}
	}
	return links, err
}

func MatchesName(text, link string) bool {
	options, _ := unit.DeserializeOptions(strings.NewReader(text))
	for _, option := range options {
		if option.Section != "Match" || option.Name != "Name" {
			continue
		}
		for _, pattern := range strings.Fields(option.Value) {
			if ok, _ := path.Match(pattern, link); ok {
				return true
			}
		}
	}
	return false
}

package networkd

import (
	"net/netip"
	"path"
	"sort"
	"strconv"
	"strings"

	"github.com/coreos/go-systemd/v22/unit"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
)

// GeneratedDir is where netplan's generator writes for networkd.
const GeneratedDir = "/run/systemd/network"

// LinkLayerDUID is the type of DUID under which [LinkLayerText] has networkd
// request a prefix.
const LinkLayerDUID = "DUID-LL"

// DUIDType is the type of the DUID under which networkd's DHCPv6 client of a
// link sends requests; "" if unknown.
func DUIDType(h *host.Host, index int) string {
	id, _ := LinkState(h, index, "DHCP6_CLIENT_DUID") // "DUID-LL:0001bc2411000002"
	kind, _, _ := strings.Cut(id, ":")
	return kind
}

// LinkState reads a key from networkd's state file of a link, as sd-network
// does. known is false if the file or the key is missing.
func LinkState(h *host.Host, index int, key string) (value string, known bool) {
	data, err := h.Root.ReadFile("run/systemd/netif/links/" + strconv.Itoa(index))
	if err != nil {
		return "", false
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}

// NetworkFiles lists networkd's .network files in the order in which it reads
// them, without those that others shadow.
func NetworkFiles(h *host.Host) ([]string, error) {
	at := map[string]string{}
	for _, dir := range []string{"/usr/lib/systemd/network", GeneratedDir, NetworkDir} {
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
	sort.Slice(files, func(i, j int) bool { return path.Base(files[i]) < path.Base(files[j]) })
	return files, nil
}

// NamedLinks lists the links that the .network files of others name, which is all
// that is known of links without a kernel. Patterns are left out.
func NamedLinks(h *host.Host) ([]kernel.Link, error) {
	files, err := NetworkFiles(h)
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

// MatchesName reports whether the text of a .network file matches a link by name.
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

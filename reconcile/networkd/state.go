package networkd

import (
	"strconv"
	"strings"

	"mape-netplan/reconcile/host"
)

// GeneratedDir is where netplan's generator writes for networkd.
const GeneratedDir = "/run/systemd/network"

// LinkLayer is the type of DUID that a file of ours has networkd ask by.
const LinkLayer = "DUID-LL"

// DuidType is the type of the DUID by which networkd's DHCPv6 client of a link
// asks; "" is not known.
func DuidType(h *host.Host, index int) string {
	id, _ := LinkState(h, index, "DHCP6_CLIENT_DUID") // "DUID-LL:0001bc2411000002"
	kind, _, _ := strings.Cut(id, ":")
	return kind
}

// LinkState reads what networkd says of a link in the state file that
// sd-network reads too.
func LinkState(h *host.Host, index int, key string) (value string, told bool) {
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

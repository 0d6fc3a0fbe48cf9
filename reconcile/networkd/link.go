package networkd

import (
	"strconv"
	"strings"

	"mape-netplan/reconcile/host"
)

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
	data, err := h.ReadFile("/run/systemd/netif/links/" + strconv.Itoa(index))
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

package networkd

import (
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/kernel"
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

// DUID is that of networkd's DHCPv6 client of a link, or where it has none, one of the link's MAC address (RFC 8415 section
// 11.4); nil where the link has no MAC address of Ethernet either.
func DUID(h *host.Host, l kernel.Link) []byte {
	id, _ := LinkState(h, l.Index, "DHCP6_CLIENT_DUID")
	kind, data, _ := strings.Cut(id, ":")
	i := slices.Index([]string{"", "DUID-LLT", "DUID-EN/Vendor", LinkLayerDUID, "UUID"}, kind)
	if b, err := hex.DecodeString(data); i > 0 && err == nil && len(b) > 0 {
		return append([]byte{0, byte(i)}, b...)
	}
	mac, err := net.ParseMAC(l.MAC)
	if err != nil || len(mac) != 6 {
		return nil
	}
	return append([]byte{0, 3, 0, 1}, mac...)
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

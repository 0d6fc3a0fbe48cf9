package kernel

import (
	"math"
	"net/netip"
	"testing"
)

// TestOrigin: what the kernel configured by an advertisement says so itself, for ever or not.
func TestOrigin(t *testing.T) {
	for _, valid := range []uint32{600, math.MaxUint32} {
		i := Inet{Prefix: netip.MustParsePrefix("2400:4050:5c71:af00::5/64")}
		i.setOrigin(InetMessage{Valid: valid, Protocol: protocolRA, Stamp: 7})
		if i.Origin != OriginRA || (i.Announced == 7) != (valid == 600) {
			t.Errorf("valid for %d s: %+v", valid, i)
		}
	}
}

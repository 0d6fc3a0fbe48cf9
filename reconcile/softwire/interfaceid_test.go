package softwire_test

import (
	"testing"

	"mape-netplan/reconcile/softwire"
)

func TestInterfaceIDText(t *testing.T) {
	for id, text := range map[softwire.InterfaceID]string{softwire.RFC7597: "rfc7597", softwire.MAP03: "map-03"} {
		var back softwire.InterfaceID
		if err := back.UnmarshalText([]byte(text)); err != nil || back != id || id.String() != text {
			t.Errorf("%s: %v, %v, %v", text, back, id, err)
		}
		if b, err := id.MarshalText(); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", text, b, err)
		}
	}
	_, err := softwire.ParseInterfaceID("draft")
	wantError(t, err, `interface identifier "draft" is unknown: it must be "map-03" or "rfc7597"`)
	if _, err := softwire.InterfaceID(9).MarshalText(); err == nil {
		t.Error("a layout that does not exist is written")
	}
}

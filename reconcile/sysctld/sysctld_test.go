package sysctld_test

import (
	"fmt"
	"testing"

	"mape-netplan/reconcile/sysctld"
)

// TestFormerForward holds that the former value of ip_forward is read as it was written.
func TestFormerForward(t *testing.T) {
	for most, want := range map[int]string{0: "", 5000: fmt.Sprintf("-%s = 5000\n", sysctld.ConntrackMaxKey)} {
		text := sysctld.Render("mape0", most, "0")
		if got := sysctld.FormerForward(text); got != "0" || text != sysctld.Render("mape0", 0, "0")+want {
			t.Errorf("former value %q, in\n%s", got, text)
		}
	}
}

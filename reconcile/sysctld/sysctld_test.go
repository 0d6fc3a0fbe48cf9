package sysctld_test

import (
	"fmt"
	"slices"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
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

// TestLater reads files in the order of systemd-sysctl, and /etc/sysctl.conf where a link stands for it.
func TestLater(t *testing.T) {
	for link, want := range map[string][]sysctld.Setting{
		"":                                   nil,
		"etc/sysctl.d/10-sysctl.conf":        nil,
		"etc/sysctl.d/99-sysctl.conf":        {{Path: "/etc/sysctl.d/99-sysctl.conf", Key: sysctld.ForwardKey, Value: "0"}},
		"usr/lib/sysctl.d/99-sysctl.conf":    {{Path: "/usr/lib/sysctl.d/99-sysctl.conf", Key: sysctld.ForwardKey, Value: "0"}},
		"usr/lib/sysctl.d/99-zz-others.conf": nil, // The file of that name in /etc shadows it.
	} {
		h, _ := hosttest.HostOf(t, "-- etc/sysctl.conf --\nnet.ipv4.ip_forward=0\n-- etc/sysctl.d/99-zz-others.conf --\n-- usr/lib/sysctl.d/README --\n")
		if link != "" {
			if err := h.Root.Symlink("/etc/sysctl.conf", link); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := sysctld.Later(h); err != nil || !slices.Equal(got, want) {
			t.Errorf("link %s: got %v, %v; want %v", link, got, err, want)
		}
	}
}

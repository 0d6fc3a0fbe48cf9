package gatewaytest

import (
	"os"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

// NeedTunnel skips a test of real tunnels on a kernel without any: the VM tier runs this binary again, where a skip
// would hide a hole.
func NeedTunnel(t testing.TB) {
	t.Helper()
	// Once made and deleted, the module is loaded, and a new namespace has its ip6tnl0 from the beginning.
	out, err := TryTunnel(t)
	if err == nil {
		return
	}
	if os.Getenv("MAPE_VM") == "1" {
		t.Fatalf("the VM has no ip6_tunnel: %v: %s", err, out)
	}
	t.Skip("needs a real ip6_tunnel: the VM tier runs this inside the VM")
}

// TryTunnel makes a tunnel, which tells whether the kernel has ip6_tunnel.
func TryTunnel(t testing.TB) (string, error) {
	return hosttest.NewNS(t).Try("ip", "link", "add", "probe0", "type", "ip6tnl", "mode", "ipip6", "local", "2001:db8::1", "remote", "2001:db8::2")
}

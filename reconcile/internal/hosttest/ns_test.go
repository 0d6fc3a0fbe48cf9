package hosttest

import "testing"

func TestNS(t *testing.T) {
	a, b := NewNS(t), NewNS(t)
	Veth(t, a, "one", "192.0.2.1/24", b, "two", "192.0.2.2/24")
	a.Exec(t, "ping", "-c1", "-W2", "192.0.2.2")
	if _, err := b.Try("ip", "link", "show", "one"); err == nil {
		t.Error("the first end is in both namespaces")
	}
}

package reconcile

import (
	"errors"
	"strings"
	"testing"
)

// resolved looks at the machine and fits the section of a line to it.
func (g *gatewayNS) resolved(t testing.TB) (gw *Gateway, f Facts, err error) {
	t.Helper()
	g.do(func() {
		if f, err = Gather(g.h); err != nil {
			t.Fatal(err)
		}
		gw, err = Resolve(sectionOf(t, lineSection), f)
	})
	return gw, f, err
}

// TestRival: a default route is refused that is as good as the tunnel's for most packets, with or without that, and no other.
func TestRival(t *testing.T) {
	g := newGateway(t)
	rivals := func(t *testing.T) {
		for route, whose := range map[string]string{
			"default via 192.168.1.1":                                 "eth0",
			"default nexthop via 192.168.1.1 nexthop via 192.168.1.2": "eth0",
			"unreachable default":                                     "unreachable default",
			"blackhole default":                                       "blackhole default",
			"prohibit default":                                        "prohibit default",
			"throw default":                                           "throw default",
			"unreachable default metric 100":                          "",
			"default via 192.168.1.1 metric 100":                      "",
			"default tos 0x10 via 192.168.1.1":                        "",
			"unreachable default tos 0x10":                            "",
			"unreachable 10.0.0.0/8":                                  "",
			"default via 192.168.1.1 table 77":                        "",
			"unreachable 0.0.0.0/8 proto dhcp":                        "",
		} {
			t.Run(route, func(t *testing.T) {
				words := strings.Fields(route)
				g.run(t, "ip", append([]string{"route", "prepend"}, words...)...)
				_, _, err := g.resolved(t)
				switch {
				case whose == "" && err != nil:
					t.Errorf("refused: %v", err)
				case whose != "" && (!errors.Is(err, errRival) || !strings.HasPrefix(err.Error(), whose+": ")):
					t.Errorf("the error is %v, want %s's", err, whose)
				}
				g.run(t, "ip", append([]string{"route", "del"}, words...)...)
			})
		}
	}
	t.Run("before", rivals)
	g.converge(t, g.standIn(t))
	t.Run("beside", rivals)
}

package events

import (
	"testing"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/internal/hosttest"
)

// TestFilters reports the loss of a filter of ours, on whatever link, and that of clsact with all of them.
func TestFilters(t *testing.T) {
	for command, want := range map[string]bool{
		"tc filter del dev x0 ingress pref 7599":                                       true,
		"tc filter del dev x0 egress pref 7599":                                        true,
		"tc filter del dev x0 egress pref 7597":                                        true,
		"tc filter replace dev x0 ingress pref 7599 handle 7599 " + verdict:            true,
		"tc qdisc del dev x0 clsact":                                                   true,
		"tc filter del dev x0 ingress pref 1":                                          false,
		"tc filter add dev x0 ingress chain 3 pref 7599 handle 7599 " + verdict:        false,
		"tc qdisc add dev x1 clsact; tc filter add dev x1 egress pref 3000 " + verdict: false,
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			ns, e := hosttest.NewNS(t), NewReports()
			ns.Exec(t, "sh", "-ec", "for l in x0 x1; do ip link add $l type bridge; done; tc qdisc add dev x0 clsact; tc filter add dev x0 ingress pref 1 "+verdict+
				"; for f in 'ingress pref 7599 handle 7599' 'egress pref 7599 handle 7599' 'egress pref 7597 handle 7597'; do tc filter add dev x0 $f "+verdict+"; done")
			got, messages := during(t, ns, e, unix.NETLINK_ROUTE, []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_TC}, newRouteEvents(e).receive, command, "ip link add last0 type bridge")
			if messages == 0 || (got.changed > 0) != want {
				t.Errorf("%d messages are %+v reports", messages, got)
			}
		})
	}
}

// verdict is a filter that leaves packets to others.
const verdict = "bpf da bytecode '1,6 0 0 4294967295'"

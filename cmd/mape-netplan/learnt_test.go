package main

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/provider/registration"
)

// TestLearnt: status shows what the line's resolvers and the provider have answered, and no credentials.
func TestLearnt(t *testing.T) {
	t.Parallel()
	ce, at := netip.MustParseAddr("2001:db8:1:2::feed"), time.Date(2026, 11, 24, 22, 0, 0, 0, time.UTC)
	l := line.Line{FarEnd: "GW.transix.jp.", Contract: &registration.Contract{Provider: "v6plus", User: "taro", Password: "hush-hush", URL: "http://x/hush-hush"}}
	answer := discovery.Addresses{All: []netip.Addr{netip.MustParseAddr("2001:db8::a")}, Server: netip.MustParseAddrPort("[fe80::1%eth1]:53"), TTL: time.Hour}
	f := facts.Facts{FarEnds: discovery.Names{"gw.transix.jp": discovery.Name{}.After(answer, nil, false, nil, at)}}
	show := func() string {
		t.Helper()
		v, out := viewOf(l, 0), new(strings.Builder)
		v.learnt(l, f)
		data, err := json.Marshal(v)
		if e := v.print(out); err != nil || e != nil {
			t.Error(err, e)
		}
		for _, secret := range []string{"taro", "hush"} {
			if strings.Contains(out.String()+string(data), secret) {
				t.Errorf("%s is in\n%s\n%s", secret, out, data)
			}
		}
		return out.String()
	}
	if got := show(); !strings.Contains(got, "gw.transix.jp is 2001:db8::a, as fe80::1%eth1 says until 2026-11-24 23:00:00\n") || strings.Contains(got, "registered") {
		t.Error(got)
	}
	soon := func(int) time.Duration { return time.Second }
	f.Announced = discovery.Announce(ce, "fcs.enabler.ne.jp (http)", "taro hush-hush").After("", errors.New("it answers 200 OK: NG"), at, soon)
	if got := show(); !strings.Contains(got, "no: fcs.enabler.ne.jp (http) has not accepted 2001:db8:1:2::feed\n") {
		t.Error(got)
	}
	f.Announced = f.Announced.After("200 OK: OK", nil, at, soon)
	if got := show(); !strings.Contains(got, "2001:db8:1:2::feed with fcs.enabler.ne.jp (http) on 2026-11-24 22:00:00: 200 OK: OK\n") {
		t.Error(got)
	}
}

package reconcile_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mape-netplan/reconcile/discovery"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/provider/s46"
	"mape-netplan/reconcile/provider/s46/s46test"
)

// TestDiscoverOptions: the line is asked by DHCPv6 if the section says so, and never otherwise; what it said is kept.
func TestDiscoverOptions(t *testing.T) {
	d := newDiscovering(t)
	bound := s46test.Option(96, s46test.Option(90, "20010db8000000000000000000000002")+s46test.Option(92, "c00002123824000db8001234"+s46test.Option(93, "00083400")))
	var asked atomic.Int32
	var answer atomic.Pointer[string] // nil for silence
	answer.Store(&bound)
	s46test.LinkLocal(t, d.ns, "eth1")
	s46test.Serve(t, d.far, "net0", func(request []byte, _, _ int) []s46test.Reply {
		asked.Add(1)
		if options := answer.Load(); options != nil {
			return []s46test.Reply{{Data: s46test.Answer(request, *options)}}
		}
		return nil
	})
	restart := func(limits s46.Limits) {
		d.restart()
		d.run.Limits = limits
	}
	patient := s46.Limits{First: 5 * time.Second, Total: time.Minute}
	const section, given = "{provider: dhcpv6}", "the line's DHCPv6 server 2400:db8:12:3400:0:c000:212:34"

	restart(patient)
	d.TXT()
	const noRecord = "eth1 has 2400:db8:12:3400::1/64: the line's resolver (::1) has no TXT record of 4over6.info.: the provider has no HB46PP"
	d.want("another source", d.await("{provider: discover}"), noRecord)
	if n := asked.Load(); n != 0 {
		t.Fatalf("asked %d times by a section that does not say so", n)
	}
	d.want("first", d.await(section), given)
	if file := d.file(); !strings.Contains(file, `"source": "dhcpv6"`) || !strings.Contains(file, `"dhcpv6": "`+bound+`"`) {
		t.Errorf("the file is %s", file)
	}
	restart(patient)
	d.want("another process", d.await(section), given)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times within its lifetime", n)
	}
	if f, err := facts.Gather(d.h); err != nil || !f.Discovered.By(discovery.DHCPv6).Offers() || f.Discovered.By("").Offers() {
		t.Errorf("%+v, %v", f.Discovered, err)
	}

	d.later(25 * time.Hour)
	restart(s46.Limits{First: 20 * time.Millisecond, Total: 50 * time.Millisecond})
	answer.Store(nil)
	d.want("an outage", d.await(section), given)
	if n := asked.Load(); n < 2 {
		t.Errorf("asked %d times in an outage", n)
	}

	nothing := s46test.Option(23, "20010db8000000000000000000000053")
	answer.Store(&nothing)
	d.later(25 * time.Hour)
	restart(s46.Limits{First: 20 * time.Millisecond, Total: time.Minute})
	d.want("nothing any more", d.await(section), "eth1 has 2400:db8:12:3400::1/64: the line's DHCPv6 server gives no softwire (options 64, 94, 95 and 96)")

	before := asked.Load()
	restart(patient)
	d.want("the other source again", d.await("{provider: discover}"), noRecord)
	if n := asked.Load(); n != before {
		t.Errorf("asked by a section that does not say so any more")
	}
}

// resolverInside has the resolver answer in the machine's namespace, too.
func (d *discovering) resolverInside() {
	at := net.UDPAddrFromAddrPort(d.Resolver)
	outside, err := net.DialUDP("udp6", nil, at)
	if err != nil {
		d.t.Fatal(err)
	}
	var inside *net.UDPConn
	d.ns.Do(func() { inside, err = net.ListenUDP("udp6", at) })
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { outside.Close(); inside.Close() })
	go func() {
		for b := make([]byte, 1500); ; {
			n, from, err := inside.ReadFromUDP(b)
			if err != nil {
				return
			}
			if _, err = outside.Write(b[:n]); err == nil {
				n, err = outside.Read(b)
			}
			if err != nil {
				return
			}
			inside.WriteToUDP(b[:n], from)
		}
	}()
}

// TestDiscoverFarEnd: an answer of HB46PP that names an AFTR has the line asked for its address next, in the same run.
func TestDiscoverFarEnd(t *testing.T) {
	d := newDiscovering(t)
	// The answer of v6コネクト's server, but for its token.
	answer := `{"ttl":86400,"service_name":"v6 コネクト","dslite":{"aftr":"dslite.v6connect.net"},"order":["dslite"]}`
	d.TXT("v=v6mig-1 url=" + d.Good(answer) + "/cpe/v1/config t=b")
	d.resolverInside()
	d.Set("dslite.v6connect.net.", &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr("2001:c28:5:301::11").As16()})
	for _, section := range []string{"{provider: discover}", "{}"} {
		ctx, cancel := context.WithTimeout(t.Context(), d.patience)
		aim, _, err := d.run.Await(ctx, gatewaytest.SectionOf(t, section), func(error) {})
		cancel()
		if err = cmp.Or(err, aim.Err); err != nil {
			t.Fatalf("%s: %v", section, err)
		}
		g := aim.Gateway
		got := fmt.Sprint(g.Service, " ", g.Softwire.Mode, " ", g.Softwire.CE(), " ", g.Softwire.Carrier.FarEnd().Addr(), " ", g.FarEnd)
		d.want(section, got, "v6 コネクト ds-lite 2400:db8:12:3400::1 2001:c28:5:301::11 dslite.v6connect.net")
	}
	if n := len(d.Asked()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

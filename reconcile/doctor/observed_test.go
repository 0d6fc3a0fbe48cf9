package doctor_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"mape-netplan/cloudinit"
	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/ports"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// observed is what a diagnosis is made from, for a test to change.
type observed struct {
	section string
	f       facts.Facts
	s       symptom.Symptoms
}

const (
	ceText = "2400:4050:5c71:af00:99:f171:c600:2f00"
	brText = "2001:380:a120::9"
)

// healthy is a gateway as the README sets it up, on which everything works.
func healthy() *observed {
	p := &observed{section: "mape: {}", f: facts.Example()}
	p.f.Links[1].Addresses = append(p.f.Links[1].Addresses,
		kernel.Inet{Prefix: netip.MustParsePrefix("2400:4050:5c71:af00::5/64")},
		kernel.Inet{Prefix: netip.MustParsePrefix(ceText + "/128"), Deprecated: true})
	p.f.Links = append(p.f.Links, kernel.Link{Name: "mape0", Index: 4, Kind: "ip6tnl", MTU: 1460, Default4: new(int)})
	p.f.Owned.Files, p.f.Owned.Tunnels = []string{"/etc/netplan/99-ipoe-gw.yaml"}, []string{"mape0"}
	p.f.Owned.Addresses = []facts.OwnedAddress{{Link: "eth1", Prefix: netip.MustParsePrefix(ceText + "/128")}}
	router := netip.MustParseAddr("fe80::1")
	p.s = symptom.Symptoms{
		Links: []symptom.Link{
			{Name: "eth0", Up: true, Carrier: true, Forward: "0", Networkd: "no", LinkLocal: true},
			{Name: "eth1", Up: true, Carrier: true, Speed: 1000, Forward: "0", LinkLocal: true},
			{Name: "mape0", Up: true, Carrier: true},
		},
		Routers:  []symptom.Router{{Link: "eth1", Via: router, RA: true}},
		Relay:    &kernel.Path{To: netip.MustParseAddr(brText), Link: "eth1", Via: router},
		Internet: []kernel.Path{{To: facts.InternetAddresses[0], Link: "mape0"}, {To: facts.InternetAddresses[1], Link: "mape0"}},
		Home:     symptom.Home{Skipped: "not known here"},
		Tunnel: &symptom.Tunnel{
			Local: netip.MustParseAddr(ceText), Remote: netip.MustParseAddr(brText), EncapLimit: -1, MTU: 1460, Up: true,
			Total: symptom.Count{RX: 1000, TX: 900}, Lately: symptom.Count{RX: 10, TX: 9}, Watched: 2 * time.Second,
		},
		Ports: &symptom.Ports{Usage: ports.Usage{Ports: 1008, Hosts: []ports.HostUsage{{Address: netip.MustParseAddr("192.168.1.10"), Used: map[string]int{"tcp": 990}}}}},
		Units: []cloudinit.State{{Name: cloudinit.GuardUnit, File: true, Enabled: true, Active: "active"}, {Name: cloudinit.WatchUnit, File: true, Enabled: true, Active: "active"}},
		Clock: symptom.Clock{Now: time.Date(2027, time.February, 1, 0, 0, 0, 0, time.UTC)},
	}
	return p
}

func (p *observed) wan() *kernel.Link { return &p.f.Links[1] }

// noRouter removes the default route.
func (p *observed) noRouter() {
	p.f.Links[1].Default6, p.s.Routers, p.s.Relay = nil, nil, nil
}

// bare removes what apply and install made.
func (p *observed) bare() {
	p.f.Links = p.f.Links[:2]
	p.s.Tunnel, p.f.Owned, p.s.Module = nil, facts.Owned{}, "yes"
	p.s.Units = []cloudinit.State{{Name: cloudinit.GuardUnit, Active: "inactive"}, {Name: cloudinit.WatchUnit, Active: "inactive"}}
	p.differs("address "+ceText+" dev eth1", "")
}

func (p *observed) differs(name, before string) {
	p.s.Differences = append(p.s.Differences, symptom.Difference{Name: name, Before: before, After: "as it should be"})
}

// duplicate gives the CE address to another host.
func (p *observed) duplicate() {
	p.s.Differences = append(p.s.Differences, symptom.Difference{
		Name: "address " + ceText + " dev eth1", Before: "inet6 x", After: "as it should be", Detection: resource.Duplicate,
	})
}

// leads adds a route of a table by which one of the internet's addresses is reached through a link.
func (p *observed) leads(i int, link, route string, table int) {
	to := &p.s.Internet[i]
	to.Link, to.Route, to.Table = link, netip.MustParsePrefix(route), table
}

func (p *observed) busiest(port uint16, n int) {
	p.s.Ports.Busiest = []ports.BusyDestination{{Protocol: "udp", Destination: ports.Destination{Address: netip.MustParseAddr("203.0.113.9"), Port: port, Ports: n}}}
}

func (p *observed) report(t *testing.T) doctor.Report {
	t.Helper()
	c, err := schema.Parse("gw.yaml", []byte(p.section))
	if err != nil {
		t.Fatal(err)
	}
	return doctor.Conclude(doctor.Diagnose(c, p.f, gateway.Resolve(c, p.f), p.s), p.s)
}

// A fault is a change, the check that must find it, how bad it is, and words of the sentences.
type fault struct {
	name      string
	make      func(*observed)
	check     string
	state     doctor.State
	diagnosis string // words, in order
	advice    string
}

// diagnose checks that each of them is found.
func diagnose(t *testing.T, all []fault) {
	t.Helper()
	for _, test := range all {
		t.Run(test.name, func(t *testing.T) {
			p := healthy()
			test.make(p)
			r := p.report(t)
			check, state := "", doctor.OK
			for _, f := range r.Findings {
				if f.State == doctor.Bad || f.State == doctor.Warn {
					check, state = f.Check, f.State
					break
				}
			}
			if check != test.check || state != test.state || r.OK != (test.state != doctor.Bad) {
				t.Errorf("%q is %s, ok %v; want %q %s", check, state, r.OK, test.check, test.state)
			}
			if !says(r.Diagnosis, test.diagnosis) || !says(r.Advice, test.advice) {
				t.Errorf("diagnosis: %s\nadvice: %s\nwant %q, %q", r.Diagnosis, r.Advice, test.diagnosis, test.advice)
			}
			if all := healthy().report(t).Findings; len(r.Findings) != len(all) {
				t.Errorf("%d findings of %d checks", len(r.Findings), len(all))
			}
			for _, s := range []string{r.Diagnosis, r.Advice} {
				if !strings.HasSuffix(s, ".") || strings.Contains(s, "..") && !strings.Contains(s, "…") || strings.ContainsAny(s, "\n\t") || strings.Contains(s, "%!") || strings.Contains(s, "link set any") {
					t.Errorf("no sentence: %s", s)
				}
			}
		})
	}
}

// says finds words in order; … stands for others between them.
func says(text, words string) bool {
	for _, w := range strings.Split(words, " … ") {
		_, after, ok := strings.Cut(text, w)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

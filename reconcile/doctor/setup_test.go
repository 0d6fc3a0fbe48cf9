package doctor_test

import (
	"testing"

	"mape-netplan/reconcile/doctor"
	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/firewall/ruleset"
)

// TestDiagnoseSetup is TestDiagnose for machines on which nothing has been set up.
func TestDiagnoseSetup(t *testing.T) {
	diagnose(t, []fault{
		{"nothing yet", (*observed).bare, "setup", doctor.Bad, "is not set up as its gateway yet", "mape-netplan install"},
		{"nothing yet, a duplicate", func(p *observed) {
			p.bare()
			p.s.Differences = nil
			p.duplicate()
		}, "CE address", doctor.Bad, "Another router … already has the CE address", "Switch off the other"},
		{"nothing yet, another's mape0", func(p *observed) {
			p.bare()
			p.s.Tunnel = &symptom.Tunnel{EncapLimit: -1, MTU: 1500}
			p.s.Differences = append(p.s.Differences, symptom.Difference{Name: "tunnel mape0", Error: "an interface of that name and of kind veth is there already", Advice: "give the tunnel another name with mape.tunnel"})
		}, "setup", doctor.Bad, "mape0 cannot be created or repaired: an interface of that name and of kind veth is there already.", "another name … mape-netplan install"},
		{"nothing yet, a rival", func(p *observed) {
			p.bare()
			p.f.Links[0].Default4, p.f.Links = new(int), p.f.Links[:2]
		}, "setup", doctor.Bad, "Another IPv4 default route wins … eth0", "metric of 100 … mape-netplan install"},
		{"nothing yet, another's file", func(p *observed) {
			p.bare()
			p.s.Differences = append(p.s.Differences, symptom.Difference{Name: "file /etc/netplan/99-ipoe-gw.yaml", Error: "was not written by mape-netplan; move it away first"})
		}, "setup", doctor.Bad, "refuses: file /etc/netplan/99-ipoe-gw.yaml was not written by mape-netplan", "mape-netplan install"},
		{"nothing yet, no module", func(p *observed) { p.bare(); p.s.Module = "no" }, "setup", doctor.Bad, "no module ip6_tunnel", "modprobe"},
		{"nothing yet, perhaps no module", func(p *observed) { p.bare(); p.s.Module = "" }, "setup", doctor.Bad, "is not set up as its gateway yet", "mape-netplan install … If that says that the kernel has no ip6_tunnel … sudo modprobe ip6_tunnel … on its host"},
		{"nothing yet, run from /tmp", func(p *observed) {
			p.bare()
			p.s.Refusal = "the units could not run /tmp/mape-netplan: they see nothing below /tmp, or not at every boot; install it first: sudo install -m 755 /tmp/mape-netplan /usr/local/bin/mape-netplan, and run that"
		}, "setup", doctor.Bad, "install would refuse: the units could not run /tmp/mape-netplan … sudo install -m 755", "Do what it says there; then run \"sudo mape-netplan install\"."},
		{"nothing yet, no systemd", func(p *observed) {
			p.bare()
			p.f.Networkd, p.s.NoSystemd = false, "systemd does not run this machine"
		}, "setup", doctor.Bad, "the service cannot be: systemd does not run this machine.", "systemd as its init … eth1 … mape-netplan install"},
		{"nothing yet, no answer of systemd", func(p *observed) {
			p.bare()
			p.f.Networkd, p.s.Units, p.s.NoSystemd = false, nil, "unit mape-netplan.service: systemd does not answer: dial unix /run/systemd/private: connect: no such file or directory"
		}, "setup", doctor.Bad, "the service cannot be: unit mape-netplan.service: systemd does not answer", "systemd as its init"},
		{"nothing yet, no networkd", func(p *observed) { p.bare(); p.f.Networkd = false }, "networkd", doctor.Bad, "Systemd-networkd does not run", "enable --now systemd-networkd … mape-netplan install"},
		{"nothing yet, ifupdown", func(p *observed) {
			p.bare()
			p.f.Definitions, p.f.Links[1].NetworkFile, p.f.Managers = nil, "", map[string]string{"eth1": facts.Ifupdown}
		}, "networkd", doctor.Bad, "Ifupdown configures eth1, and a gateway needs systemd-networkd for it.", "Move eth1 from /etc/network/interfaces … enable --now systemd-networkd … mape-netplan install"},
		{"nothing yet, a firewall", func(p *observed) {
			p.bare()
			p.f.Foreign.Chains = []ruleset.Chain{{Family: "inet", Table: "filter", Name: "forward", Type: "filter", Hook: "forward", Drop: true}}
		}, "setup", doctor.Bad, "Another firewall … table inet filter, chain forward", "Then run \"sudo mape-netplan install\""},
	})
}

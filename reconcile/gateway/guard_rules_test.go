package gateway_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/kernel"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/resource"
)

// postrouting is a table with nothing but these rules where the guard has to be.
func postrouting(rules ...nft.Rule) resource.Table {
	return resource.Table{Table: nft.Table{Name: nat.Name, Chains: []nft.Chain{
		{Name: "postrouting", Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookPostrouting, Priority: 300, Rules: rules},
	}}}
}

var (
	mape0   = kernel.IfName("mape0")
	tally   = []expr.Any{&expr.Counter{}}
	ends    = nft.NewRule(nft.Drop)
	through = nft.NewRule(nft.Not(nft.OIfName, mape0), nft.Accept)
)

// fromRegister is a rule with its comparison made of another register than the one that was loaded.
func fromRegister(r nft.Rule) nft.Rule {
	r = slices.Clone(r)
	for i, e := range r {
		if c, ok := e.(*expr.Cmp); ok {
			other := *c
			other.Register = unix.NFT_REG_2
			r[i] = &other
		}
	}
	return r
}

// TestGuardIsItsRules: whether a table guards is decided by what the kernel does, not by how that reads.
func TestGuardIsItsRules(t *testing.T) {
	drops := func(name []byte) nft.Rule { return nft.NewRule(nft.Is(nft.OIfName, name), nft.Drop) }
	for _, test := range []struct {
		name   string
		table  resource.Table
		guards bool
	}{
		{"a wall", postrouting(drops(mape0)), true},
		{"a wall of two", postrouting(drops(kernel.IfName("old0")), drops(mape0)), true},
		{"a wall that counts", postrouting(nft.NewRule(tally, nft.Is(nft.OIfName, mape0), tally, nft.Drop)), true},
		{"the NAT's ends", postrouting(through, ends), true},
		{"the NAT's ends, counted", postrouting(nft.NewRule(nft.Not(nft.OIfName, mape0), tally, nft.Accept), nft.NewRule(tally, nft.Drop)), true},
		{"nothing", postrouting(), false},
		{"another's wall", postrouting(drops(kernel.IfName("old0"))), false},
		{"every name that begins so", postrouting(drops([]byte("mape0"))), false},
		// These read as if they guarded.
		{"a chain of the name drop", postrouting(through, nft.NewRule(nft.Jump("drop"))), false},
		{"a chain of such a name, left for good", postrouting(through, nft.NewRule(nft.Goto("let-drop"))), false},
		{"an end that drops another's", postrouting(nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Accept), drops(kernel.IfName("old0"))), false},
		{"an end that drops some", postrouting(through, nft.NewRule(nft.Is(nft.IPProtocol, []byte{6}), nft.Drop)), false},
		{"named by another field", postrouting(nft.NewRule(nft.Is(nft.IIfName, mape0), nft.Drop)), false},
		{"let out, then dropped", postrouting(nft.NewRule(nft.Accept), drops(mape0)), false},
		{"let out by name, then dropped", postrouting(nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Accept), ends), false},
		{"the NAT's ends, opened", postrouting(nft.NewRule(tally, nft.Accept), through, ends), false},
		{"the NAT's ends, opened by name", postrouting(nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Accept), through, ends), false},
		{"compared with what is not there", postrouting(fromRegister(drops(mape0))), false},
		{"the name of an object", postrouting(nft.NewRule([]expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_CT_TIMEOUT, Name: "mape0"}}), ends), false},
	} {
		if got := gateway.Guards(test.table, "mape0"); got != test.guards {
			t.Errorf("%s: %v, want %v:\n%s", test.name, got, test.guards, test.table.Text())
		}
	}
	// Hooked elsewhere, or nowhere, the same rules see nothing that leaves.
	for _, c := range []nft.Chain{{Type: nftables.ChainTypeFilter, Hook: *nftables.ChainHookForward}, {Type: nftables.ChainTypeNAT, Hook: *nftables.ChainHookPostrouting}, {}} {
		table := postrouting(drops(mape0))
		table.Chains[0].Type, table.Chains[0].Hook = c.Type, c.Hook
		if gateway.Guards(table, "mape0") {
			t.Errorf("taken for a guard:\n%s", table.Text())
		}
	}
}

// TestClosedIsItsRules: a table is closed when its rules can only drop, however they read.
func TestClosedIsItsRules(t *testing.T) {
	named := kernel.IfName(`we"drop`)
	for _, test := range []struct {
		rule   nft.Rule
		closed bool
	}{
		{nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Drop), true},
		{nft.NewRule(nft.Is(nft.OIfName, mape0), tally, nft.Drop), true},
		{nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Drop, tally), true}, // Which reads "… drop counter".
		{nft.NewRule(nft.Jump("drop")), false},
		{nft.NewRule([]expr.Any{&expr.Objref{Type: unix.NFT_OBJECT_COUNTER, Name: "drop"}}), false},
		{nft.NewRule(nft.Is(nft.OIfName, named)), false},
		{nft.NewRule([]expr.Any{&expr.Immediate{Register: 1, Data: []byte{1, 0, 0, 0}}, &expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: 1}}, nft.Drop), false},
		{nft.NewRule(nft.Accept), false},
		{nil, false},
	} {
		if got := postrouting(test.rule).Closed(); got != test.closed {
			t.Errorf("%q: %v, want %v", test.rule, got, test.closed)
		}
	}
	if postrouting().Closed() {
		t.Error("a table without rules is taken for closed")
	}
}

// TestAlike: rules that read alike and are not the same, and the other way round.
func TestAlike(t *testing.T) {
	a := nft.NewRule(nft.Is(nft.OIfName, mape0), nft.Drop)
	if c := nft.NewRule(tally, nft.Is(nft.OIfName, mape0), nft.Drop); c.String() == a.String() || !c.Same(a) {
		t.Errorf("%q and %q differ in a counter alone", a, c)
	}
	random := func(fully bool) nft.Rule {
		return nft.NewRule([]expr.Any{&expr.Masq{Random: fully}})
	}
	if x, y := random(true), random(false); x.String() != y.String() || x.Same(y) {
		t.Errorf("%q and %q read alike and are not the same", x, y)
	}
	if !strings.HasSuffix(nft.NewRule(nft.Jump("drop")).String(), "drop") {
		t.Error("a jump does not read like a drop: TestGuardIsItsRules tests too little")
	}
}

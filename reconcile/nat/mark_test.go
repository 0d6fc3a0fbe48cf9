package nat_test

import (
	"errors"
	"strings"
	"testing"

	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/internal/gatewaytest"
	"mape-netplan/reconcile/internal/hosttest"
	"mape-netplan/reconcile/nat"
	"mape-netplan/reconcile/nft"
)

// TestMark: a table says who made it, as nft shows it. One of the first release, which does not, is known by its chains
// and gets the mark; any other of the name is an error.
func TestMark(t *testing.T) {
	t.Parallel()
	n := hosttest.NewNS(t)
	conn := nft.OpenNS(n.FD())
	tables := []nft.Table{gateway.Wall([]string{"mape0"})}
	for _, g := range gatewayKinds() {
		tables = append(tables, gatewaytest.TableOf(g))
	}
	for _, table := range tables {
		if !nat.Names(table, "mape0") || nat.Names(table, "mape1") {
			t.Errorf("it is not about mape0 alone:\n%s", table.Text())
		}
		unmarked := table
		unmarked.Comment = ""
		for _, step := range []struct{ write, text nft.Table }{{unmarked, unmarked}, {table, table}, {table, table}} {
			if err := step.write.Write(conn); err != nil {
				t.Fatal(err)
			}
			if live, err := nat.Read(conn); err != nil || live.Text() != step.text.Text() {
				t.Fatalf("%v: read:\n%s\nwritten:\n%s", err, live.Text(), step.text.Text())
			}
		}
		if out := n.Exec(t, "nft", "list", "table", "ip", "mape"); !strings.Contains(out, `comment "`+nat.Mark+`"`) {
			t.Fatalf("nft does not show the mark:\n%s", out)
		}
	}

	const srcnat = "type nat hook postrouting priority 100; "
	for _, theirs := range []string{
		"add table ip mape",
		"add table ip mape { comment \"mine\"; }",
		"add table ip mape; add chain ip mape x",
		"add table ip mape; add chain ip mape postrouting { " + srcnat + "}; add rule ip mape postrouting masquerade",
		"add table ip mape; add chain ip mape prerouting { type filter hook prerouting priority -350; }",
		"add table ip mape; add chain ip mape prerouting { type filter hook prerouting priority -350; };" +
			"add chain ip mape postrouting { type filter hook postrouting priority 300; }; add chain ip mape mine { " + srcnat + "}",
		"add table ip mape { flags dormant; }; add chain ip mape prerouting { type filter hook prerouting priority -350; policy drop; };" +
			"add chain ip mape postrouting { type filter hook postrouting priority 300; }",
		"add table ip mape { flags dormant; }; add chain ip mape prerouting { type filter hook prerouting priority -350; };" +
			"add chain ip mape postrouting { type filter hook postrouting priority 300; }",
	} {
		n.Exec(t, "nft", "flush ruleset; "+theirs)
		before := n.Exec(t, "nft", "list", "ruleset")
		for _, read := range []func(*nft.Conn) (nft.Table, error){nat.Read, nat.ReadRules} {
			if live, err := read(conn); !errors.Is(err, nat.ErrForeign) || live.Text() != "" {
				t.Errorf("%s: %v\n%s", theirs, err, live.Text())
			}
		}
		if after := n.Exec(t, "nft", "list", "ruleset"); after != before {
			t.Errorf("it is now\n%s", after)
		}
	}
	n.Exec(t, "nft", "flush ruleset")
	if live, err := nat.Read(conn); err != nil || live.Text() != "" {
		t.Errorf("without a table: %v\n%s", err, live.Text())
	}
}

package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/schema"
)

// TestReadme: the screen that both READMEs show is the one that status prints of the example gateway when all is well.
func TestReadme(t *testing.T) {
	c, err := schema.Parse("section", []byte("mape: {prefix: '2400:4050:5c71:af00::/56'}"))
	if err != nil {
		t.Fatal(err)
	}
	example := facts.Example()
	aim := gateway.Resolve(c, example)
	if aim.Err != nil {
		t.Fatal(aim.Err)
	}
	s := state{OK: true, Softwire: viewOf(aim.Gateway.Line, aim.Gateway.Tunnel.MTU)}
	for _, r := range gateway.Compile(aim.Gateway, example) {
		if r.Text() != "" {
			s.Resources = append(s.Resources, resourceView{Name: r.Name(), OK: true})
		}
	}
	cmd, out := new(cobra.Command), new(bytes.Buffer)
	cmd.SetOut(out)
	if err := s.print(cmd); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if want := "$ sudo mape-netplan status\n" + out.String() + "```\n"; !strings.Contains(string(data), want) {
			t.Errorf("%s does not show\n%s", name, want)
		}
	}
}

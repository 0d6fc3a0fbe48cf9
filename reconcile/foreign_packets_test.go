package reconcile

import (
	"strings"
	"testing"
	"time"
)

// withForeign is a line whose gateway has the interfaces and rules of others.
func withForeign(t *testing.T, files string) *line {
	t.Helper()
	l := newLine(t, natKinds["ocn"])
	for _, name := range []string{"eth1", "docker0", "virbr0"} {
		veth(t, l.gw, name, "", l.inet, name, "")
	}
	for _, f := range strings.Fields(files) {
		install(t, l.gw, f)
	}
	l.serveTCP(t)
	return l
}

// gets says whether a connection from the LAN comes about.
func (l *line) gets() bool {
	c, err := dial(l.lan, server+":80", 1500*time.Millisecond)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// TestForeignTruth: there is a warning exactly where packets do not get through, and where the advice is a command that
// can be run here, they do after it, and the warning is gone.
func TestForeignTruth(t *testing.T) {
	for _, test := range programs {
		t.Run(test.files, func(t *testing.T) {
			l := withForeign(t, test.files)
			if l.gets() != (len(test.want) == 0) {
				t.Fatalf("the flow gets through: %v; said is %q", len(test.want) > 0, test.want)
			}
			if len(test.want) == 0 {
				flowTCP(t, l.lan)
				flowTCP(t, l.gw)
				return
			}
			advice := foreignWarnings(t, l.gw)[0]
			if !obey(t, l.gw, advice) {
				return
			}
			if got := foreignWarnings(t, l.gw); len(got) > 0 || !l.gets() {
				t.Errorf("after %s: %q", advice, got)
			}
			flowTCP(t, l.lan)
		})
	}
}

// TestForeignTranslation: a source translation before ours, and packets that are not tracked, end at the guard.
func TestForeignTranslation(t *testing.T) {
	for _, test := range []struct{ name, chain, wrong, right string }{
		{"masquerade", "type nat hook postrouting priority 0", `oifname != "eth0" masquerade`, `oifname != "mape0" oifname != "eth0" masquerade`},
		{"notrack", "type filter hook prerouting priority raw", "tcp dport 80 notrack", `iifname != { "eth0", "mape0" } tcp dport 80 notrack`},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := withForeign(t, "")
			for rule, works := range map[string]bool{test.wrong: false, test.right: true} {
				table(t, l.gw, "chain c { "+test.chain+"; "+rule+"; }")
				if got, said := l.gets(), foreignWarnings(t, l.gw); works != got || works != (len(said) == 0) {
					t.Errorf("%s: the flow gets through: %v; said is %q", rule, got, said)
				}
			}
		})
	}
}

package doctor_test

import (
	"os"
	"path/filepath"
	"testing"

	"mape-netplan/reconcile/doctor/symptom"
	"mape-netplan/reconcile/gateway"
)

// TestNoSystemd tells a machine that systemd does not run from one on which it does not answer.
func TestNoSystemd(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	c, f := m.facts(t)
	look := func() (s symptom.Symptoms) {
		var err error
		m.gw.Do(func() { s, err = symptom.Gather(t.Context(), m.h, c, f, gateway.Resolve(c, f), m.o) })
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := look().NoSystemd; got != "systemd does not run this machine" {
		t.Errorf("%q", got)
	}
	if err := os.MkdirAll(filepath.Join(m.h.Root.Name(), "run/systemd/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	want := "systemd does not answer"
	if _, err := os.Stat("/run/systemd/private"); err == nil {
		want = "" // It runs the machine of this test.
	}
	if got := look().NoSystemd; !says(got, want) || want == "" && got != "" {
		t.Errorf("%q", got)
	}
}

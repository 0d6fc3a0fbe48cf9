package main

import (
	"strings"
	"testing"
)

// TestDoctorUnread: a file that stops every other verb is what the doctor names.
func TestDoctorUnread(t *testing.T) {
	t.Parallel()
	b := newBed(t, "mape: {wan: eth1, prefix: '2400:4050:5c71:af00::/56'}\n")
	for script, want := range map[string]string{
		"mkfifo $0/etc/netplan/zz.yaml":             "The file /etc/netplan/zz.yaml",
		"echo 'network: [' >$0/etc/netplan/zz.yaml": "The file /etc/netplan/zz.yaml is not a netplan file",
	} {
		b.sh(script)
		code, out, errs := b.run("doctor")
		_, diagnosis, _ := strings.Cut(out, "\nDiagnosis: ")
		if code != exitFailed || !strings.Contains(diagnosis, want) || errs != "" {
			t.Errorf("%s: exit %d\n%s\n%s", script, code, out, errs)
		}
		b.sh("rm -rf $0/etc/netplan/zz.yaml")
	}
}

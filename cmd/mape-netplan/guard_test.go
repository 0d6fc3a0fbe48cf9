package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestGuardAtBoot runs the program as the unit does at boot, where there is no
// link yet, no bus and no line: the files of the last run make the table, and
// apply has nothing to write then. What it takes of the CPU is only logged: the
// machine may be shared.
func TestGuardAtBoot(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	static(t, dir)
	done := make(chan struct{})
	go func() {
		defer close(done)
		machine(t, dir)
		table := func() string {
			out, err := exec.Command("nft", "list", "table", "ip", "mape").CombinedOutput()
			return string(out) + text(err)
		}
		run := func(args ...string) (string, time.Duration) {
			cmd := &exec.Cmd{Path: "/mape-netplan", Args: append([]string{"mape-netplan"}, args...), Dir: "/", SysProcAttr: &syscall.SysProcAttr{Chroot: dir}}
			out := new(bytes.Buffer)
			cmd.Stdout, cmd.Stderr = out, out
			if err := cmd.Run(); err != nil {
				t.Errorf("%s: %v\n%s", args, err, out)
			}
			return out.String(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		}
		guard := func(section string) string {
			if err := os.WriteFile(filepath.Join(dir, "booted"), []byte(section+"\n"), 0o644); err != nil {
				t.Error(err)
			}
			_, start := run("version")
			out, cpu := run("guard", "-c", "/booted")
			t.Logf("%v of the CPU, where starting takes %v: %s", cpu, start, out)
			return out
		}
		before := table()
		if out := guard("mape: {wan: eth1}"); out != "unchanged\n" || table() != before {
			t.Errorf("on a gateway at work it says %s", out)
		}
		// As at boot: another namespace, with nothing in it.
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		if out := guard("mape: {wan: eth1}"); out != "guarded mape0: the NAT of 153.241.113.198/32\n" || !strings.Contains(table(), "snat to 153.241.113.198") {
			t.Errorf("it says %s\n%s", out, table())
		}
		for _, bad := range []struct{ section, says string }{
			{"mape: {wan: 7}", "warning: guarding without a section: /booted:1:"},
			{"mape: {provider: biglobe}", "guarded mape0: nothing passes ("},
		} {
			if out, err := exec.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if out := guard(bad.section); !strings.Contains(out, bad.says) || !strings.Contains(table(), `oifname "mape0" drop`) {
				t.Errorf("%s: it says %s\n%s", bad.section, out, table())
			}
		}
	}()
	<-done
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

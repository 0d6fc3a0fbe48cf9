package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// sshFailed is ssh's exit status when it was the connection that failed.
const sshFailed = 255

// ssh is a client command that shares the master connection. Under emulation
// a handshake takes seconds, a command on a connection that is there a fraction of one.
func (vm *VM) ssh(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", append([]string{
		"-F", "none", "-i", vm.path("key"), "-o", "ControlPath=" + vm.path("ssh"),
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30",
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6",
		"-l", "root",
	}, args...)...)
}

// WaitSSH connects anew, trying until the machine answers or the context ends.
func (vm *VM) WaitSSH(ctx context.Context) error {
	for {
		err := vm.connect(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-vm.dead:
			return vm.end
		default:
		}
		if ended := sleep(ctx, time.Second); ended != nil {
			return fmt.Errorf("virtual machine does not answer: %w (%w)\nlast lines of its console:\n%s", ended, err, vm.Console())
		}
	}
}

// connect makes the master connection, from inside the LAN.
func (vm *VM) connect(ctx context.Context) error {
	vm.disconnect()
	master := vm.ssh(context.WithoutCancel(ctx), "-M", "-N", Gateway)
	var stderr bytes.Buffer
	master.Stderr = &stderr
	if err := vm.lan.start(master); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- master.Wait() }()
	for {
		if _, err := os.Stat(vm.path("ssh")); err == nil {
			vm.mu.Lock()
			vm.master = master
			vm.mu.Unlock()
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("ssh: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		case <-ctx.Done():
			master.Process.Kill()
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (vm *VM) disconnect() {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	if vm.master != nil {
		vm.master.Process.Kill()
		vm.master = nil
	}
	os.Remove(vm.path("ssh")) // a killed master leaves its socket
}

// Run runs a shell command in the machine as root. A command that fails is no
// error, a connection that does is.
func (vm *VM) Run(ctx context.Context, command string) (stdout, stderr string, exit int, err error) {
	cmd := vm.ssh(ctx, "-o", "ControlMaster=no", Gateway, command)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	// Inside the LAN as well: should the master be gone, ssh connects by itself, and
	// must not try to on the host's network.
	err = vm.lan.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	exit = cmd.ProcessState.ExitCode()
	if exitErr := (*exec.ExitError)(nil); errors.As(err, &exitErr) && exit > 0 && exit != sshFailed {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("run %q: %w: %s", command, err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.String(), errs.String(), exit, err
}

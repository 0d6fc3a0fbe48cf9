package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// VM is the gateway: a Debian on an emulated processor. Its disk keeps what is
// written until Close.
type VM struct {
	dir  string
	lan  *Namespace
	dead chan struct{} // closed when QEMU has ended for good
	end  error         // why, once dead

	mu     sync.Mutex
	closed bool
	ended  time.Duration // the processor time of machines that have ended
	qemu   *exec.Cmd
	master *exec.Cmd // the ssh connection that all commands share
}

// Boot starts the machine with its eth0 on the LAN and its eth1 on the line.
// WaitSSH waits until it can be used.
func Boot(ctx context.Context, image Image, network *Network, seed Seed) (vm *VM, err error) {
	vm = &VM{lan: network.LAN, dead: make(chan struct{})}
	if vm.dir, err = os.MkdirTemp("", "mape-vm-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("virtual machine: %w", err)
			os.RemoveAll(vm.dir)
		}
	}()
	disk := vm.path("disk.qcow2")
	for _, args := range [][]string{
		{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", vm.path("key")},
		{"qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", image.Disk, disk},
	} {
		if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", args[0], err, out)
		}
	}
	key, err := os.ReadFile(vm.path("key.pub"))
	if err != nil {
		return nil, err
	}
	if err := seed.iso(ctx, vm.path("seed.iso"), string(key)); err != nil {
		return nil, err
	}
	started := make(chan error)
	go vm.live(image, network, started)
	return vm, <-started
}

// live runs QEMU until it fails or Close. A reboot ends QEMU and begins a new
// one: within one, the emulator takes half a minute longer, because the new
// kernel overwrites code that it has translated.
func (vm *VM) live(image Image, network *Network, started chan<- error) {
	defer close(vm.dead)
	for {
		var log bytes.Buffer
		vm.mu.Lock()
		if vm.closed {
			vm.mu.Unlock()
			return
		}
		vm.qemu = vm.command(image, network)
		vm.qemu.Stdout, vm.qemu.Stderr = &log, &log
		err := vm.qemu.Start()
		vm.mu.Unlock()
		if started != nil {
			started <- err
			started = nil
		}
		if err == nil {
			err = vm.qemu.Wait()
			vm.mu.Lock()
			vm.ended += vm.qemu.ProcessState.UserTime() + vm.qemu.ProcessState.SystemTime()
			vm.mu.Unlock()
		}
		if err != nil {
			vm.end = fmt.Errorf("qemu: %w\n%s", err, &log)
			return
		}
	}
}

func (vm *VM) command(image Image, network *Network) *exec.Cmd {
	cmd := exec.Command("qemu-system-x86_64",
		// An emulator copies byte for byte where a processor with "erms" is fast: without it the same work was measured
		// to take 16 to 18 seconds instead of 23. With a thread for each processor the guest's kernel was once seen to
		// crash in nf_conntrack_in.
		"-accel", "tcg,thread=single", "-cpu", cpu+",-erms", "-smp", "2", "-m", "1024", "-no-reboot",
		"-nodefaults", "-nographic", "-monitor", "none",
		"-chardev", "file,id=console,append=on,path="+vm.path("console"), "-serial", "chardev:console",
		"-kernel", image.Kernel, "-initrd", image.Initrd,
		"-append", "console=ttyS0 net.ifnames=0 quiet systemd.show_status=1 "+hurry,
		"-drive", "if=virtio,format=qcow2,cache=unsafe,file="+vm.path("disk.qcow2"),
		"-drive", "if=virtio,format=raw,readonly=on,file="+vm.path("seed.iso"),
		"-device", "virtio-rng-pci",
		// ExtraFiles are descriptors 3 and 4. Without a ROM the firmware does not try to boot from the network.
		"-netdev", "tap,id=lan,fd=3", "-device", "virtio-net-pci,romfile=,netdev=lan,mac="+lanMAC,
		"-netdev", "tap,id=line,fd=4", "-device", "virtio-net-pci,romfile=,netdev=line,mac="+wanMAC,
	)
	cmd.ExtraFiles = []*os.File{network.lanTap, network.wanTap}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// cpu is the emulated processor: all that QEMU can, except cmpxchg16b, with
// which QEMU 7.2 crashes the guest, and the fifth level of page tables, which
// costs a twentieth of the time.
const cpu = "max,-cx16,-la57"

// hurry is what the kernel need not do here: guard against the processor it
// runs on, test its own ciphers, wait for quiet moments.
const hurry = "mitigations=off cryptomgr.notests rcupdate.rcu_expedited=1"

func (vm *VM) path(name string) string { return filepath.Join(vm.dir, name) }

// Console is the end of what the machine wrote to its serial console.
func (vm *VM) Console() string {
	text, err := os.ReadFile(vm.path("console"))
	if err != nil {
		return err.Error()
	}
	return tail(string(text), 60)
}

// WaitCloudInit waits until cloud-init has done all of this boot's stages and
// returns its result.json.
func (vm *VM) WaitCloudInit(ctx context.Context) (result string, err error) {
	out, _, _, err := vm.Run(ctx, "f=/run/cloud-init/result.json; until [ -e $f ]; do sleep 1; done; cat $f")
	return out, err
}

// Reboot restarts the machine and waits until it answers again.
func (vm *VM) Reboot(ctx context.Context) error {
	const id = "cat /proc/sys/kernel/random/boot_id"
	before, _, _, err := vm.Run(ctx, id)
	if err != nil {
		return err
	}
	vm.Run(ctx, "systemctl reboot") // the connection may end before the command does
	for {
		if err := vm.WaitSSH(ctx); err != nil {
			return fmt.Errorf("reboot: %w", err)
		}
		if after, _, exit, err := vm.Run(ctx, id); err == nil && exit == 0 && after != before {
			return nil
		}
		if err := sleep(ctx, time.Second); err != nil {
			return fmt.Errorf("reboot: %w", err)
		}
	}
}

// Busy is how long this host has computed for the machine: what a step takes beyond that is spent waiting, by this
// machine or for others.
func (vm *VM) Busy() time.Duration {
	vm.mu.Lock()
	defer vm.mu.Unlock()
	const tick = time.Second / 100 // USER_HZ
	// The last parenthesis ends the program's name, and utime and stime are fields 14 and 15 (proc(5)).
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", vm.qemu.Process.Pid))
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return vm.ended
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return vm.ended + time.Duration(user+system)*tick
}

// Close ends the machine, as pulling its plug does, and deletes its disk.
func (vm *VM) Close() error {
	vm.disconnect()
	vm.mu.Lock()
	vm.closed = true
	vm.qemu.Process.Kill()
	vm.mu.Unlock()
	<-vm.dead
	return os.RemoveAll(vm.dir)
}

// sleep waits, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Counted runs a static program on an emulated processor whose clock is the instructions it has executed, one
// nanosecond each: what the program times there, it times in instructions of its own and of the kernel, whatever else
// this machine does. It runs alone, as the first process of the image's kernel, with the image's tools. What it prints
// is returned.
func Counted(ctx context.Context, image Image, program string, args ...string) (string, error) {
	dir, err := os.MkdirTemp("", "mape-count-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	initrd := filepath.Join(dir, "initrd")
	if err := countingInitrd(initrd, image, program, args); err != nil {
		return "", fmt.Errorf("initrd: %w", err)
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64",
		"-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-cpu", cpu, "-smp", "1", "-m", "1024", "-no-reboot",
		"-nodefaults", "-nographic", "-monitor", "none", "-serial", "stdio",
		"-kernel", image.Kernel, "-initrd", initrd,
		// Any other clock of the machine is read by slow emulated devices, if it follows the instructions at all.
		"-append", "console=ttyS0 quiet clocksource=tsc tsc=reliable hpet=disable lpj=1000000 mitigations=off cryptomgr.notests",
		"-drive", "if=virtio,format=raw,snapshot=on,file="+image.Disk,
	)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	text := strings.ReplaceAll(string(out), "\r", "")
	if err == nil && !strings.Contains(text, countedWell) {
		err = fmt.Errorf("%s failed there", filepath.Base(program))
	}
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, tail(text, 40))
	}
	return text, nil
}

// countedWell is what is printed after a program that has succeeded.
const countedWell = "-- counted well --"

// countingInitrd is the image's with other files behind it, which replace its own of the same name: the kernel unpacks
// one archive after the other.
func countingInitrd(path string, image Image, program string, args []string) error {
	binary, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	base, err := os.ReadFile(image.Initrd)
	if err != nil {
		return err
	}
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	// Modules are loaded by a program of the root file system, which therefore has to be the image's.
	init := `#!/bin/busybox sh
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
for module in /modules/*; do busybox insmod "$module" 2>/dev/null; done
until [ -b /dev/vda ]; do busybox sleep 0.1; done
busybox mount -t ext4 /dev/vda /root
busybox cp /counted /counting /root/root
for d in proc dev; do busybox mount --move /$d /root/$d; done
exec busybox switch_root /root /root/counting
`
	counting := `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
modprobe tun
cd /root
./counted ` + strings.Join(args, " ") + ` && echo "` + countedWell + `"
echo o >/proc/sysrq-trigger
sleep 60
`
	var b bytes.Buffer
	b.Write(base)
	// The kernel wants each archive at a multiple of four bytes.
	b.Write(make([]byte, -len(base)&3))
	archive(&b, "init", []byte(init))
	archive(&b, "counting", []byte(counting))
	archive(&b, "counted", binary)
	archive(&b, "TRAILER!!!", nil)
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// archive adds an executable file to an archive of cpio's "newc" format (the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst).
func archive(w io.Writer, name string, data []byte) {
	const executable, links = 0o100755, 1
	fmt.Fprintf(w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		0, executable, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0)
	const header = 110
	io.WriteString(w, name)
	w.Write(make([]byte, 1+(-(header+len(name)+1)&3)))
	w.Write(data)
	w.Write(make([]byte, -len(data)&3))
}

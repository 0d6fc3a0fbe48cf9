package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/advice"
)

// Suitable is an error that says why the caller cannot make this machine a gateway, whatever its files say.
func (h *Host) Suitable() error {
	if err := h.Privileged(); err != nil {
		return err
	}
	if err := h.Unsupported(); err != nil || h.Sys == nil {
		return err
	}
	const forwarding = "net/ipv4/ip_forward"
	f, err := h.Sys.OpenFile(forwarding, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("/proc/sys/%s must be writable, and in this container it is not (%w); have its host mount /proc/sys/net read-write", forwarding, errors.Unwrap(err))
	}
	return f.Close()
}

// Unsupported is an advice.Advice that says why systemd-networkd cannot configure this machine.
func (h *Host) Unsupported() error {
	// A directory that stands for a machine has no daemons.
	if !h.Live() || h.Root.Name() != "/" {
		return nil
	}
	return h.unsupported()
}

func (h *Host) unsupported() error {
	if release, _ := h.Root.ReadFile("proc/sys/kernel/osrelease"); strings.Contains(strings.ToLower(string(release)), "microsoft") {
		return advice.Advice{What: "this is WSL, whose interfaces Windows configures, and a gateway needs systemd-networkd", Do: "use a virtual machine of its own, such as one of Hyper-V"}
	}
	if h.Booted() {
		return nil
	}
	init, _ := h.Root.ReadFile("proc/1/comm")
	return advice.Advice{What: fmt.Sprintf("systemd does not run this machine (process 1 is %q), and a gateway needs systemd-networkd", strings.TrimSpace(string(init))),
		Do: "boot the machine, or the container, with systemd, and for an image name its directory with --root-dir"}
}

// Privileged is an error that names the capability which the caller lacks to change the machine.
func (h *Host) Privileged() error {
	if !h.Live() {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	has := func(capability uint) bool { return data[0].Effective&(1<<capability) != 0 }
	switch root := os.Geteuid() == 0; {
	case !has(unix.CAP_NET_ADMIN) && root:
		return errors.New("this needs the capability CAP_NET_ADMIN, for links, routes and nftables, and root does not have it here; give it to the container")
	case !has(unix.CAP_NET_ADMIN):
		return errors.New("this needs the capability CAP_NET_ADMIN, for links, routes and nftables; run it as root (sudo)")
	case !root && !has(unix.CAP_DAC_OVERRIDE):
		return errors.New("this needs the capability CAP_DAC_OVERRIDE, for files below /etc; run it as root (sudo)")
	case !ownsNetwork():
		return errors.New("this needs the capability CAP_NET_ADMIN over the network, and root has it only over its own user namespace here; give the container a network of its own")
	}
	return nil
}

// ownsNetwork reports whether the network namespace belongs to the caller's user namespace or to one below it: only
// there do its capabilities count (ioctl_ns(2)).
func ownsNetwork() bool {
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return true
	}
	defer f.Close()
	owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err == nil {
		unix.Close(owner)
	}
	return !errors.Is(err, unix.EPERM)
}

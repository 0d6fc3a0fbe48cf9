package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Namespace is an anonymous network namespace.
type Namespace struct {
	handle netns.NsHandle
	links  *netlink.Handle
}

// NewNamespace makes an empty namespace with its loopback up.
func NewNamespace() (*Namespace, error) {
	ns := &Namespace{}
	err := onThread(func() (err error) {
		ns.handle, err = netns.New()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("network namespace: %w", err)
	}
	if ns.links, err = netlink.NewHandleAt(ns.handle, syscall.NETLINK_ROUTE); err != nil {
		return nil, errors.Join(fmt.Errorf("network namespace: %w", err), ns.handle.Close())
	}
	return ns, ns.up("lo")
}

// Close lets go of the namespace; the kernel deletes it with its last process and socket.
func (ns *Namespace) Close() error {
	ns.links.Close()
	return ns.handle.Close()
}

// Do runs f on a thread inside the namespace. What f creates there (sockets,
// processes) stays there; goroutines that f starts are outside.
func (ns *Namespace) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(ns.handle); err != nil {
			return fmt.Errorf("enter network namespace: %w", err)
		}
		return f()
	})
}

// onThread gives f a thread whose network namespace it may change.
func onThread(f func() error) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer before.Close()
	err = f()
	if back := netns.Set(before); back != nil {
		// A thread left in the wrong namespace must not be used again: it stays locked and dies.
		return errors.Join(err, back)
	}
	runtime.UnlockOSThread()
	return err
}

// Output runs a program in the namespace and returns what it printed on
// stdout. The error of a failed run holds both outputs.
func (ns *Namespace) Output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := ns.start(cmd); err != nil {
		return "", err
	}
	if err := cmd.Wait(); err != nil {
		return stdout.String(), fmt.Errorf("%s: %w\n%s%s", cmd, err, &stdout, &stderr)
	}
	return stdout.String(), nil
}

// start starts cmd inside the namespace; it dies with the test process.
func (ns *Namespace) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return ns.Do(cmd.Start)
}

// Dial connects from inside the namespace. The address must be numeric: a
// name would be looked up by other threads.
func (ns *Namespace) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = ns.Do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// ListenUDP opens a UDP socket in the namespace.
func (ns *Namespace) ListenUDP(address netip.AddrPort) (conn *net.UDPConn, err error) {
	err = ns.Do(func() error {
		conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(address))
		return err
	})
	return conn, err
}

// sysctl sets a value under /proc/sys, which shows the namespace of the thread that looks.
func (ns *Namespace) sysctl(path, value string) error {
	return ns.Do(func() error { return os.WriteFile("/proc/sys/"+path, []byte(value), 0) })
}

func (ns *Namespace) up(name string) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := ns.links.LinkSetUp(link); err != nil {
		return fmt.Errorf("link %s: up: %w", name, err)
	}
	return nil
}

// address gives a link an address; IPv6 without duplicate address detection, which
// would delay the first packet by a second or two.
func (ns *Namespace) address(name, prefix string) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	addr, err := netlink.ParseAddr(prefix)
	if err != nil {
		return err
	}
	if addr.IP.To4() == nil {
		addr.Flags = syscall.IFA_F_NODAD
	}
	if err := ns.links.AddrReplace(link, addr); err != nil {
		return fmt.Errorf("link %s: address %s: %w", name, prefix, err)
	}
	return nil
}

// route sends a prefix to a link, through a gateway unless that is "".
func (ns *Namespace) route(prefix, name, gateway string) error {
	return ns.routeMTU(prefix, name, gateway, 0)
}

// routeMTU is route with an MTU, unless that is 0.
func (ns *Namespace) routeMTU(prefix, name, gateway string, mtu int) error {
	link, err := ns.links.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	_, dst, err := net.ParseCIDR(prefix)
	if err != nil {
		return err
	}
	r := &netlink.Route{LinkIndex: link.Attrs().Index, Dst: dst, Gw: net.ParseIP(gateway), MTU: mtu}
	if err := ns.links.RouteReplace(r); err != nil {
		return fmt.Errorf("route %s dev %s: %w", prefix, name, err)
	}
	return nil
}

// blackhole has the kernel drop what is for a prefix.
func (ns *Namespace) blackhole(prefix netip.Prefix) error {
	_, dst, err := net.ParseCIDR(prefix.String())
	if err == nil {
		err = ns.links.RouteReplace(&netlink.Route{Dst: dst, Type: syscall.RTN_BLACKHOLE})
	}
	if err != nil {
		return fmt.Errorf("blackhole %s: %w", prefix, err)
	}
	return nil
}

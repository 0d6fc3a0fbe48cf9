package reconcile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"mape-netplan/reconcile/nft"
	"mape-netplan/reconcile/provider/hb46pp"
)

// A Host is the machine: whoever holds one can read and change it.
type Host struct {
	Root *os.Root        // "/", or the directory that stands for it
	Sys  *os.Root        // /proc/sys; nil when only files are meant
	Net  *netlink.Handle // links, addresses and routes; nil likewise
	NFT  *nft.Conn       // nil likewise
	NS   int             // a descriptor of the network namespace that Net is of; 0 is the caller's
	Bus  Bus             // nil when networkd does not answer

	// Hidden is told of every resource that the caller may not read, which
	// Plan then takes for absent. nil: that is an error.
	Hidden func(name string, err error)
	// Broken is told of every netplan file that is none, and that is then passed
	// over. nil: that is an error.
	Broken func(name string, err error)

	// HB46PP is how a line is asked for its rules; what it leaves open is found
	// out.
	HB46PP hb46pp.Client

	madeRun bool                      // the lock's directory was made for it
	asked   []Change                  // that make networkd ask for a prefix, in this run
	learnt  atomic.Pointer[Discovery] // from the line, by this process
	guard   *Change                   // that this run has made, from a Table to what is standing
	connect func() Bus                // asks again for a networkd that did not answer

	filters    bool // the kernel can filter what leaves by a link
	unfiltered bool // it has clsact and no cls_bpf
}

// A Bus is what the program asks of the daemons.
type Bus interface {
	// Reload makes networkd read its files again (networkctl reload).
	Reload(context.Context) error
	// Describe is what networkd knows of a link, as JSON (networkctl --json
	// status). Its size grows with the routes of the link.
	Describe(ctx context.Context, index int) ([]byte, error)
}

// Open opens this machine (root "") or a directory that stands for one, whose
// live resources are left out.
func Open(root string) (*Host, error) {
	if root != "" {
		r, err := os.OpenRoot(root)
		return &Host{Root: r}, err
	}
	h, err := OpenEarly()
	if err != nil {
		return nil, err
	}
	h.connect = networkdBus
	h.reconnect()
	return h, nil
}

// OpenEarly opens this machine without its daemons: at boot a bus that is not
// served yet would be waited for.
func OpenEarly() (*Host, error) {
	r, err := os.OpenRoot("/")
	if err != nil {
		return nil, err
	}
	sys, err := os.OpenRoot("/proc/sys")
	if err != nil {
		return nil, err
	}
	// The families are named because a handle without them opens a socket of
	// every kind the library knows, some of which need modules.
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	conn, err := nft.Open()
	if err != nil {
		return nil, err
	}
	return &Host{Root: r, Sys: sys, Net: handle, NFT: conn}, nil
}

// reconnect asks for networkd where it did not answer yet, or its bus is gone.
func (h *Host) reconnect() {
	if n, ok := h.Bus.(networkd); ok && !n.conn.Connected() {
		h.Bus = nil
	}
	if h.Bus == nil && h.connect != nil {
		h.Bus = h.connect()
	}
}

// Live says whether there is a kernel to look at, not only files.
func (h *Host) Live() bool { return h.Net != nil }

// generators are where Debian and Ubuntu put netplan's generator in C: twenty
// times as fast as "netplan generate", which is Python.
var generators = []string{"/usr/libexec/netplan/generate", "/usr/lib/netplan/generate"}

// generate runs netplan's generator, which writes networkd's files.
func (h *Host) generate(ctx context.Context) error {
	for _, g := range append(generators, "/usr/sbin/netplan") {
		if _, err := os.Stat(g); err != nil {
			continue
		}
		args := []string{}
		if g == "/usr/sbin/netplan" {
			args = append(args, "generate")
		}
		cmd := exec.CommandContext(ctx, g, args...)
		cmd.WaitDelay = time.Second // A child of it may hold the pipe.
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", g, err, out)
		}
		return nil
	}
	return errors.New("netplan's generator is not on this machine")
}

const (
	network1     = "org.freedesktop.network1"
	network1Path = "/org/freedesktop/network1"
)

type networkd struct{ conn *dbus.Conn }

// networkdBus connects to networkd, or returns nil when there is no bus yet or
// nobody owns networkd's name on it.
func networkdBus() Bus {
	// A bus that listens and does not answer, as one does before its service
	// is started, must not hold up the run.
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(patience, cancel)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil
	}
	var owned bool
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, network1).Store(&owned)
	if !late.Stop() || err != nil || !owned {
		cancel()
		conn.Close()
		return nil
	}
	return networkd{conn}
}

func (n networkd) call(ctx context.Context, method string, args ...any) error {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := n.conn.Object(network1, network1Path).
		CallWithContext(soon, network1+".Manager."+method, 0, args...).Err
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("networkd: %s: %w", method, err)
	}
	return nil
}

// patience is how long an answer of networkd is waited for. systemd 257 answers
// a reload when every link that it concerns has been configured again, and a
// link may wait for the line; what matters is looked at afterwards anyway.
const patience = 5 * time.Second

func (n networkd) Reload(ctx context.Context) error { return n.call(ctx, "Reload") }

func (n networkd) Describe(ctx context.Context, index int) ([]byte, error) {
	soon, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var text string
	// A digit cannot begin a D-Bus path element: networkd escapes the first as
	// "_" and its code.
	name := strconv.Itoa(index)
	path := fmt.Sprintf("%s/link/_%02x%s", network1Path, name[0], name[1:])
	err := n.conn.Object(network1, dbus.ObjectPath(path)).
		CallWithContext(soon, network1+".Link.Describe", 0).Store(&text)
	if err != nil {
		return nil, fmt.Errorf("networkd: Describe: %w", err)
	}
	return []byte(text), nil
}

// Privileged says what the caller lacks to change the machine.
func (h *Host) Privileged() error {
	if !h.Live() {
		return nil
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	if data[0].Effective&(1<<unix.CAP_NET_ADMIN) == 0 {
		return errors.New("this needs the capability CAP_NET_ADMIN, for links, routes and nftables; run it as root (sudo)")
	}
	if os.Geteuid() != 0 && data[0].Effective&(1<<unix.CAP_DAC_OVERRIDE) == 0 {
		return errors.New("this needs the capability CAP_DAC_OVERRIDE, for files below /etc; run it as root (sudo)")
	}
	return nil
}

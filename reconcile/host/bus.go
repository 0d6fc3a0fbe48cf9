package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
)

// A Bus is what the program asks of networkd.
type Bus interface {
	// Reload makes networkd read its files again (networkctl reload).
	Reload(context.Context) error
	// Describe returns what networkd knows of the link with that index, as JSON
	// (networkctl --json status). Its size grows with the routes of the link.
	Describe(ctx context.Context, index int) ([]byte, error)
}

const (
	network1     = "org.freedesktop.network1"
	network1Path = "/org/freedesktop/network1"
)

// A systemBus is a connection to the system bus, where networkd is while it runs.
type systemBus struct {
	conn     *dbus.Conn
	networkd atomic.Bool // is on it
}

// connectBus returns nil when there is no bus yet. wake may be nil.
func connectBus(wake func()) *systemBus {
	// A bus that listens and does not answer, as before its service is started,
	// must not hold up the run.
	ctx, cancel := context.WithCancel(context.Background())
	late := time.AfterFunc(patience, cancel)
	conn, err := dbus.ConnectSystemBus(dbus.WithContext(ctx))
	if err != nil {
		return nil
	}
	b := &systemBus{conn: conn}
	if wake != nil { // Before it is asked, so that no change is missed.
		b.watch(wake)
	}
	var owned bool
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, network1).Store(&owned)
	if !late.Stop() || err != nil {
		cancel()
		conn.Close()
		return nil
	}
	b.networkd.Store(owned)
	return b
}

// watch calls wake whenever networkd comes or goes, and when the bus does.
func (b *systemBus) watch(wake func()) {
	owners := make(chan *dbus.Signal, 16)
	b.conn.Signal(owners)
	_ = b.conn.AddMatchSignal(dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, network1))
	go func() {
		for s := range owners { // It is closed with the connection.
			var name, before, now string
			if dbus.Store(s.Body, &name, &before, &now) == nil && name == network1 {
				b.networkd.Store(now != "")
				wake()
			}
		}
		wake()
	}()
}

type networkd struct{ conn *dbus.Conn }

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

// patience bounds the wait for an answer of networkd. systemd 257 answers a
// reload when every link that it concerns has been configured again, and a link
// may wait for the line; the kernel is read afterwards in any case.
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

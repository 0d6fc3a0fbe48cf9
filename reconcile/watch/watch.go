// Package watch keeps a machine what its section says, for as long as it runs.
package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/events"
	"mape-netplan/reconcile/facts"
	"mape-netplan/reconcile/gateway"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/line"
	"mape-netplan/reconcile/resource"
	"mape-netplan/schema"
)

// directories are of the files that a look reads and others write.
func (w *Watch) directories() []string {
	names := slices.Clone(w.Files)
	for _, r := range w.want {
		if p := r.Traits().Path; p != "" {
			names = append(names, filepath.Join(w.Host.Root.Name(), p))
		}
	}
	return names
}

// A Watch keeps the machine what its section says for as long as it runs. It
// is level-triggered: events only wake it, and then it reads everything.
type Watch struct {
	Host *host.Host
	// Section reads the section anew, and Files are where it reads it from.
	Section func() (*schema.Config, error)
	Files   []string
	// Log takes what happens, one line each.
	Log func(Priority, string)
	// Notify takes what a service manager is told: "READY=1", "STATUS=…".
	Notify func(string)
	// Watchdog is how long the service manager waits for "WATCHDOG=1" before it
	// takes the loop for hung; 0 is for ever.
	Watchdog time.Duration
	// Reload is sent to when the section is to be read again; nil is never.
	Reload <-chan os.Signal
	// Compile lists what the machine is to be; nil is [gateway.Order.Compile].
	Compile func(gateway.Order, *gateway.Gateway, facts.Facts) []engine.Resource

	events  *events.Listener
	section *schema.Config    // the last good one; nil is none yet
	want    []engine.Resource // what the machine was last made, but for what is absent
	made    *gateway.Gateway  // that want is of; nil is the guard alone, or not known
	told    resource.Address  // the CE address that networkd was told of last; zero is none
	line    string            // the softwire of want, in words
	forward string            // net.ipv4.ip_forward before the first run, once known
	retry   retry             // of making the machine something else
	asker   line.Asker        // of the line
	inquiry inquiry           // that runs
	mended  ledger            // of keeping it so
	said    map[string]string
	passes  int
	blind   bool // a file could not be read in the last look
	changed bool // something, in the last pass
	vain    int  // crowds of events in a row for which nothing was to be done
}

// A Priority is one of syslog's, as sd-daemon(3) prefixes them.
type Priority int

const (
	Failure Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Detail  Priority = 6
)

// passTime is how long one pass may take to make the machine something else.
// With rollbackTime it is what a watchdog has to leave: none is answered
// meanwhile.
const passTime = 20 * time.Second

// Run watches until ctx ends, and leaves everything as it is then. An error is
// that the machine cannot be listened to, or not any more.
func (w *Watch) Run(ctx context.Context) error {
	var err error
	if w.events, err = events.Listen(w.Host); err != nil {
		return fmt.Errorf("watching for changes: %w", err)
	}
	defer w.events.Close()
	defer w.inquiry.running.Wait()
	if w.Compile == nil {
		w.Compile = gateway.Order.Compile
	}
	w.asker.Host, w.said, w.mended = w.Host, map[string]string{}, ledger{}
	// Now nothing is missed. The line may be long in coming, and whoever waits
	// for this service must not wait for it.
	w.Notify("READY=1\nSTATUS=" + w.status())
	ready := ""
	for {
		again := w.pass(ctx)
		w.Notify(ready + "WATCHDOG=1\nSTATUS=" + w.status())
		ready = ""
		reload, alive, err := w.wait(ctx, again)
		if err != nil {
			return err
		}
		if !alive {
			w.Notify("STOPPING=1\nSTATUS=stopping; the gateway stays as it is")
			return nil
		}
		if reload {
			w.Notify("RELOADING=1")
			w.afresh()
			ready = "READY=1\n"
		}
	}
}

// afresh has what waits to be tried again be tried at once, and what is wrong
// said again: somebody asks for it. When the line may be asked is not theirs
// to say.
func (w *Watch) afresh() {
	clear(w.said)
	w.retry, w.inquiry.retry = retry{}, retry{}
	for _, m := range w.mended {
		m.until, m.unread, m.unmade, m.said = time.Time{}, time.Time{}, time.Time{}, false
	}
}

// pass looks at everything once and changes what differs. It returns when to
// look again though nothing has happened; 0 is never.
func (w *Watch) pass(ctx context.Context) (again time.Duration) {
	w.passes++
	w.changed = false
	w.events.Seen()
	w.events.WatchFiles(w.Host, w.directories())
	w.Host.Reconnect()
	w.readSection()
	w.hear()
	f, err := w.look()
	if w.blind = errors.As(err, new(host.Unread)); err != nil && !w.blind {
		w.complain("look", Failure, fmt.Sprintf("cannot look at the machine: %v; what was made last is kept", err))
		return soonest(time.Second, w.mend(ctx, f))
	}
	again = w.sight(err)
	var at gateway.Aim
	if w.section != nil {
		at = gateway.Resolve(w.section, f)
		again = soonest(again, w.inquire(ctx, at.Line, f))
	}
	t := w.aim(f, at)
	if w.blind {
		t = w.inKernel(t, f)
	}
	if t.changed(w.want) {
		done, wait := w.make(ctx, f, t)
		if !done {
			again = soonest(again, wait)
		}
	}
	if !w.blind {
		w.events.SetBystanders(w.bystanders(f))
	}
	// What could not be made something else is kept what it was.
	return soonest(again, w.mend(ctx, f))
}

// readSection takes the section up where it has changed and is good.
func (w *Watch) readSection() {
	c, err := w.Section()
	if err != nil {
		text := strings.TrimSpace(err.Error())
		if w.section != nil {
			text += "\nthe last good section stays in force"
		}
		w.complain("section", Failure, text)
		return
	}
	w.section = c
	w.fine("section")
	var doubts []string
	for _, p := range c.Warnings {
		doubts = append(doubts, strings.TrimSpace(p.Error()))
	}
	w.warn("doubt: ", doubts)
}

// look reads all facts that a gateway is made of. What other programs have in
// nf_tables only makes warnings, and costs most of a pass: whoever asks status
// is told.
func (w *Watch) look() (facts.Facts, error) {
	f, err := facts.Look(w.Host)
	f.Discovered = w.asker.Latest(f.Discovered)
	if f.IPForward == "" {
		f.IPForward = w.forward // Somebody has deleted the file that had it.
	}
	w.forward = f.IPForward
	return f, err
}

// list is what is wanted in another order; the guard alone has none.
func (t aim) list(compile func(gateway.Order, *gateway.Gateway, facts.Facts) []engine.Resource, f facts.Facts, o gateway.Order) []engine.Resource {
	if t.gateway == nil || o == (gateway.Order{}) {
		return t.want
	}
	return compile(o, t.gateway, f)
}

// tell reports the forwards that are off.
func (w *Watch) tell(g *gateway.Gateway) {
	if len(g.Off) == 0 {
		w.fine("forwards")
		return
	}
	w.complain("forwards", Failure, gateway.OffText(g.Off))
}

// status is what the watch does, for "systemctl status".
func (w *Watch) status() string {
	text := w.line
	if text == "" {
		text = "starting"
	}
	if wrong := w.mended.contested(); len(wrong) > 0 {
		text += "; cannot keep " + strings.Join(wrong, ", ")
	}
	for _, thing := range []string{"look", "section", "line", "forwards", "make"} {
		if why, ok := w.said[thing]; ok {
			text += "; " + strings.ReplaceAll(firstLine(why), "\n", " ")
		}
	}
	return text
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// soonest is the shorter of two waits, of which 0 is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

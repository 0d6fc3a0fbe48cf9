// Package watch keeps a machine what its section says, for as long as it runs.
package watch

import (
	"cmp"
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
	"mape-netplan/schema"
)

// A Watch is the service. It is level-triggered: an event only starts a pass, which reads the whole machine, decides what
// it should be, applies that where it is new, and restores what has drifted. Host, Section, Log and Notify are required.
type Watch struct {
	Host *host.Host
	// Section reads and checks the section, and returns its text as well; while it fails, the last valid one stays in force,
	// of which a copy is kept for the next boot. Files are the absolute paths that it reads: a change of one starts a pass.
	Section func() (c *schema.Config, text []byte, err error)
	Files   []string
	// Log is called with each message: one line, or more where the later ones say what follows.
	Log func(Priority, string)
	// Notify is called with each state for the service manager, as sd_notify(3) has it: "READY=1", "STATUS=…".
	Notify func(string)
	// Watchdog is within which time the service manager wants "WATCHDOG=1"; 0 is never.
	Watchdog time.Duration
	// Reload has the section read, and everything that failed retried and reported again; it may be nil.
	Reload <-chan os.Signal
	// Compile lists what the machine is to be; nil is [gateway.Transition.Compile].
	Compile func(gateway.Transition, *gateway.Gateway, facts.Facts) []engine.Resource

	timings timings
	events  *events.Listener
	journal
	provisioning provisioning
	waiter       waiter
	others       others
	sections     sections

	want     []engine.Resource // the resources that were last applied, without the absent ones; nil: not known
	applied  *gateway.Gateway  // the one that want is compiled from; nil: the guard alone, or not known
	line     string            // want's softwire, for people
	told     *gateway.Gateway  // of whose CE address networkd was last told; nil for none
	forward  string            // net.ipv4.ip_forward before the first run, once known
	retry    retry             // of applying
	backoffs backoffs          // of repairing

	passes     int       // begun
	unreadable bool      // a file could not be read in the last look, or files are not tried now
	unwritable time.Time // until when files are not tried again, because one could not be written
	changed    bool      // the last pass changed something
}

// Run watches until ctx ends, and leaves the machine as it is then. An error is that changes cannot be listened to, or not
// any more.
func (w *Watch) Run(ctx context.Context) error {
	if err := w.start(); err != nil {
		return err
	}
	defer w.events.Close()
	defer w.provisioning.running.Wait()
	// From here on no change is missed. The line may take long to come, and units ordered after this one must not wait.
	w.Notify("READY=1\nSTATUS=" + w.status())
	ready := ""
	for {
		again := w.pass(ctx)
		w.Notify(ready + "WATCHDOG=1\nSTATUS=" + w.status())
		ready = ""
		why, err := w.waiter.wait(ctx, again, w.changed, w.want)
		switch {
		case err != nil:
			return err
		case why == stop:
			w.Notify("STOPPING=1\nSTATUS=stopping; the gateway stays as it is")
			return nil
		case why == reload:
			w.Notify("RELOADING=1")
			w.retryNow()
			ready = "READY=1\n"
		}
	}
}

// start makes the watch ready for its first pass.
func (w *Watch) start() (err error) {
	if w.events, err = events.Listen(w.Host); err != nil {
		return fmt.Errorf("watching for changes: %w", err)
	}
	if w.Compile == nil {
		w.Compile = gateway.Transition.Compile
	}
	if w.timings == (timings{}) {
		w.timings = defaultTimings
	}
	w.Host.WatchNetworkd(w.events.Wake)
	w.journal, w.backoffs = journal{w.Log, map[string]string{}}, backoffs{}
	w.sections = sections{journal: &w.journal, host: w.Host}
	w.sections.load()
	w.waiter = waiter{timings: &w.timings, host: w.Host, events: w.events.Reports, reload: w.Reload, watchdog: w.Watchdog, notify: w.Notify}
	p := &w.provisioning
	p.AtStart, p.Host, p.journal, p.timings, p.wake = true, w.Host, &w.journal, &w.timings, w.events.Wake
	return nil
}

// retryNow has everything that failed retried at once, and each problem logged again. It does not have the line asked
// before that is due: HB46PP says how often.
func (w *Watch) retryNow() {
	clear(w.problems)
	w.retry, w.provisioning.retry, w.unwritable = retry{}, retry{}, time.Time{}
	w.backoffs.reset()
}

// pass looks at everything once and changes what differs. It returns when the next pass is due without an event; 0 is
// never.
func (w *Watch) pass(ctx context.Context) (again time.Duration) {
	w.passes++
	w.changed = false
	w.events.DropUnrelated()
	w.events.WatchFiles(w.Host, w.files())
	w.Host.Reconnect()
	w.sections.read(w.Section)
	w.provisioning.finish()
	f, err := w.look()
	if w.unreadable = errors.As(err, new(host.Unread)); err != nil && !w.unreadable {
		w.problem("look", Failure, fmt.Sprintf("cannot look at the machine: %v; the gateway stays as it is", err))
		return soonest(w.timings.settling, w.repair(ctx, f))
	}
	var aim gateway.Aim
	if w.sections.valid != nil {
		aim = gateway.Resolve(w.sections.valid, f)
		again = soonest(again, w.provisioning.request(ctx, w.sections.valid, aim.Line, f))
	}
	to := w.target(f, aim)
	if !w.unreadable && to.differs(w.want) {
		err = unreadableOf(ctx, w.Host, to.want)
		w.unreadable = err != nil
	}
	again = soonest(again, w.logUnreadable(err))
	if wait := time.Until(w.unwritable); wait > 0 {
		w.unreadable, again = true, soonest(again, wait)
	}
	if w.unreadable {
		to = w.withoutFiles(to, f)
	}
	if to.differs(w.want) {
		done, wait := w.apply(ctx, f, to)
		if !done {
			again = soonest(again, wait)
		}
	}
	made := aim.Gateway != nil && aim.Err == nil && !w.unreadable && !to.differs(w.want)
	if made && (w.sections.proven == nil || aim.Proven(f)) {
		w.sections.keep()
	}
	if made {
		again = soonest(again, w.provisioning.register(ctx, aim.Gateway.Line, f))
	}
	if !w.unreadable {
		w.events.SetUnrelated(w.unrelated(f))
	}
	// Where that could not be applied, what was before is maintained.
	return soonest(again, soonest(w.repair(ctx, f), w.logWarnings(aim, f)))
}

// logWarnings logs what keeps the gateway from working although it is in sync, as "status" shows it. It returns when to
// look again: after a change that is not known yet. What is missed while a file cannot be read may be in there.
func (w *Watch) logWarnings(aim gateway.Aim, f facts.Facts) (again time.Duration) {
	if w.changed {
		return w.timings.settling
	}
	if w.unreadable {
		return 0
	}
	all := aim.Warnings()
	if g := aim.Gateway; g != nil {
		more, err := w.others.warnings(w.Host, g, f, w.events.RulesChanged())
		if err != nil {
			more = []string{fmt.Sprintf("what other programs do to packets is not known: %v", err)}
		}
		all = append(all, more...)
	}
	w.warn("warning: ", all)
	return 0
}

// files are those of the section and of what was applied, by absolute path.
func (w *Watch) files() []string {
	names := slices.Clone(w.Files)
	for _, r := range w.want {
		if p := r.Traits().Path; p != "" {
			names = append(names, filepath.Join(w.Host.Root.Name(), p))
		}
	}
	return names
}

// look reads the facts that a gateway is made of. What other programs have in nf_tables is not among them, see others.
func (w *Watch) look() (facts.Facts, error) {
	f, err := facts.Look(w.Host)
	f.Owned.Proven = w.sections.proven
	if g := w.applied; g != nil && !slices.Contains(f.Owned.Tunnels, g.Tunnel.Link) { // Made beside files that cannot be read or written.
		f.Owned.Tunnels = append(f.Owned.Tunnels, g.Tunnel.Link)
	}
	p := &w.provisioning
	f.Discovered, f.FarEnds, f.Announced = p.Latest(f.Discovered), p.LatestNames(f.FarEnds), p.LatestAnnouncement(f.Announced)
	if f.IPForward == "" {
		f.IPForward = w.forward // The file that had it was deleted since the service started.
	}
	w.forward = f.IPForward
	return f, err
}

// unrelated lists, by index, the links whose addresses the gateway does not depend on: no file configures them, no
// default route leaves by them, and neither the section nor anything applied names them. A container engine's bridge is
// one; the loopback interface is another, on which a routing daemon may have thousands.
func (w *Watch) unrelated(f facts.Facts) map[uint32]bool {
	named := map[string]bool{}
	if c := w.sections.valid; c != nil {
		for _, name := range append([]string{c.WAN, c.Tunnel}, c.LAN...) {
			l, _ := f.Link(name) // which may have the name as an alternative one
			named[l.Name] = true
		}
	}
	for _, r := range w.want {
		named[r.Traits().Link] = true
	}
	all := map[uint32]bool{}
	for _, l := range f.Links {
		_, defined := f.DefinitionOf(l.Name)
		if !defined && l.NetworkFile == "" && l.Default4 == nil && l.Default6 == nil && !named[l.Name] {
			all[uint32(l.Index)] = true
		}
	}
	return all
}

// status is what the watch does, in one line for "systemctl status".
func (w *Watch) status() string {
	text := cmp.Or(w.line, "starting")
	if unstable := w.backoffs.unstable(); len(unstable) > 0 {
		text += "; cannot keep " + strings.Join(unstable, ", ")
	}
	return text + w.journal.status("look", "section", "line", "forwards", "apply") + w.journal.warnings("warning: ")
}

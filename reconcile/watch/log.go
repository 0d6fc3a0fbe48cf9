package watch

import (
	"slices"
	"strings"

	"mape-netplan/reconcile/gateway"
)

// A Priority is one of syslog's, as sd-daemon(3) prefixes them.
type Priority int

const (
	Failure Priority = 3
	Warning Priority = 4
	Notice  Priority = 5
	Detail  Priority = 6
)

// logOnce logs a problem of a subject, once until its text changes or the subject is resolved.
func (w *Watch) logOnce(subject string, p Priority, text string) {
	if w.logged[subject] != text {
		w.logged[subject] = text
		w.Log(p, text)
	}
}

// resolved logs that a subject has no problem any more, where it had one.
func (w *Watch) resolved(subject string) {
	if _, ok := w.logged[subject]; ok {
		delete(w.logged, subject)
		if text := resolvedTexts[subject]; text != "" {
			w.Log(Notice, text)
		}
	}
}

var resolvedTexts = map[string]string{
	"look":    "all files can be read again",
	"section": "the section is valid again",
	"line":    "the line is up",
	"lock":    "the other run has ended",
	"rules":   "the line provides its rules again",
}

// warn logs those warnings of a kind that are new, and forgets those that are no longer among them.
func (w *Watch) warn(kind string, texts []string) {
	for _, text := range texts {
		w.logOnce(kind+text, Warning, text)
	}
	for subject := range w.logged {
		if text, ok := strings.CutPrefix(subject, kind); ok && !slices.Contains(texts, text) {
			delete(w.logged, subject)
		}
	}
}

// logForwards logs the forwards that are off.
func (w *Watch) logForwards(g *gateway.Gateway) {
	if len(g.Off) == 0 {
		w.resolved("forwards")
		return
	}
	w.logOnce("forwards", Failure, gateway.OffText(g.Off))
}

// status is what the watch does, in one line for "systemctl status".
func (w *Watch) status() string {
	text := w.line
	if text == "" {
		text = "starting"
	}
	if unstable := w.backoffs.unstable(); len(unstable) > 0 {
		text += "; cannot keep " + strings.Join(unstable, ", ")
	}
	for _, subject := range []string{"look", "section", "line", "forwards", "apply"} {
		if problem, ok := w.logged[subject]; ok {
			first, _, _ := strings.Cut(problem, "\n")
			text += "; " + first
		}
	}
	return text
}

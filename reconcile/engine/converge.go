package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"mape-netplan/reconcile/host"
)

// Converge makes the machine what is wanted and returns what it changed: plan;
// nothing to do, done; otherwise write each change in order and look again
// until nothing differs. If a write fails or ctx ends first, the machine is made
// what it was, and the error says what did not settle; then only what is left
// behind is returned, as what it was and what it is.
func Converge(ctx context.Context, h *host.Host, want []Resource) ([]Change, error) {
	return ConvergeOr(ctx, h, want, func(context.Context) ([]Change, error) { return nil, nil })
}

// Write makes the changes and returns done with those that are new in it: what
// was found first is what rollback must restore.
func Write(ctx context.Context, h *host.Host, changes, done []Change) ([]Change, error) {
	for _, c := range changes {
		if ctx.Err() != nil {
			return done, context.Cause(ctx)
		}
		if Settles(c.After, c.Before) {
			continue
		}
		// Before the write: one that fails may have done half of its work.
		if !slices.ContainsFunc(done, func(d Change) bool { return d.After.Name() == c.After.Name() }) {
			done = append(done, c)
		}
		if err := c.After.Write(ctx, h); err != nil {
			return done, fmt.Errorf("%s: %w", c.After.Name(), err)
		}
	}
	return done, nil
}

// Summary names the changes in one line, with what the machine has instead
// where that is short.
func Summary(changes []Change) string {
	var b strings.Builder
	for i, c := range changes {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(c.After.Name())
		if now := strings.TrimSpace(c.Before.Text()); now == "" {
			b.WriteString(" (absent)")
		} else if len(now) < 200 {
			fmt.Fprintf(&b, " (is %s)", strings.ReplaceAll(now, "\n", ", "))
		}
	}
	return b.String()
}

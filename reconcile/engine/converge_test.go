package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// TestConverge writes what differs in the order that is asked for, once.
func TestConverge(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"a": "0", "b": "1", "d": "4"})
	want := b.Want("c=1", "b=1", "a=1", "d=")
	changes, err := engine.Converge(t.Context(), &host.Host{}, want)
	if err != nil {
		t.Fatal(err)
	}
	if got := hosttest.Texts(changes); !slices.Equal(got, []string{"c:  -> 1", "a: 0 -> 1", "d: 4 -> "}) {
		t.Errorf("changed %q", got)
	}
	b.Wrote(t, "c=1", "a=1", "d=")
	if changes, err = engine.Converge(t.Context(), &host.Host{}, want); err != nil || changes != nil {
		t.Errorf("again: %v, %v", hosttest.Texts(changes), err)
	}
	b.Wrote(t)
}

// TestConvergeUntilSettled writes again what a daemon undid, and returns it as one change from what was found first.
func TestConvergeUntilSettled(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"b": "0"})
	b.Forget["b=1"] = 2
	changes, err := engine.Converge(t.Context(), &host.Host{}, b.Want("a=1", "b=1"))
	if err != nil {
		t.Fatal(err)
	}
	b.Wrote(t, "a=1", "b=1", "b=1", "b=1")
	if got := hosttest.Texts(changes); !slices.Equal(got, []string{"a:  -> 1", "b: 0 -> 1"}) {
		t.Errorf("changed %q", got)
	}
}

// TestConvergeRollsBack takes everything back in reverse when a write fails, the half-done one too.
func TestConvergeRollsBack(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"a": "0", "c": "0", "d": "0"})
	b.Broken["c=1"] = errors.New("no space left")
	changes, err := engine.Converge(t.Context(), &host.Host{}, b.Want("a=1", "b=1", "c=1", "d=1"))
	if err == nil || err.Error() != "c: no space left\nevery change was rolled back" || !errors.Is(err, b.Broken["c=1"]) {
		t.Errorf("the error is %v", err)
	}
	if changes != nil {
		t.Errorf("changed %q, and nothing is", hosttest.Texts(changes))
	}
	b.Wrote(t, "a=1", "b=1", "c=1", "c=0", "b=", "a=0")
	b.Is(t, "map[a:0 b: c:0 d:0]")
}

// TestConvergeLeavesBehind names what could not be rolled back.
func TestConvergeLeavesBehind(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"a": "0", "b": "0"})
	b.Broken["b=1"] = errors.New("no space left")
	b.Broken["a=0"] = errors.New("read-only")
	changes, err := engine.Converge(t.Context(), &host.Host{}, b.Want("a=1", "b=1"))
	want := "b: no space left\nrolling back: a: read-only: left behind: a (is half)"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if got := hosttest.Texts(changes); !slices.Equal(got, []string{"a: 0 -> half"}) {
		t.Errorf("what is left is %q", got)
	}
}

// TestConvergeTimeout names what did not settle, and why it stopped waiting.
func TestConvergeTimeout(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"a": "0", "b": "0"})
	b.Forget["b=1"] = 1 << 30
	ctx, cancel := context.WithCancelCause(t.Context())
	writes := 0
	b.Written = func(write string) {
		if write != "b=1" {
			return
		}
		if writes++; writes == 3 {
			cancel(errors.New("timed out"))
		}
	}
	_, err := engine.Converge(ctx, &host.Host{}, b.Want("a=1", "b=1"))
	want := "timed out: did not settle in time: b (is 0)\nevery change was rolled back"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	b.Is(t, "map[a:0 b:0]")
}

// TestConvergeInterrupted stops between two writes: what was not written is not written back.
func TestConvergeInterrupted(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"a": "0", "b": "0", "c": "0"})
	ctx, interrupt := context.WithCancelCause(t.Context())
	b.Written = func(write string) {
		if write == "b=1" {
			interrupt(errors.New("interrupt signal received"))
		}
	}
	_, err := engine.Converge(ctx, &host.Host{}, b.Want("a=1", "b=1", "c=1"))
	if err == nil || !strings.HasPrefix(err.Error(), "interrupt signal received: ") {
		t.Errorf("the error is %v", err)
	}
	b.Wrote(t, "a=1", "b=1", "b=0", "a=0")
	b.Is(t, "map[a:0 b:0 c:0]")

	// A run that is interrupted before it begins writes nothing.
	if _, err := engine.Converge(ctx, &host.Host{}, b.Want("a=1")); err == nil {
		t.Error("no error")
	}
	b.Wrote(t)
}

// A secret is a resource that the caller may not read.
type secret struct{ hosttest.Value }

func (secret) Read(context.Context, *host.Host) (engine.Resource, error) {
	return nil, fmt.Errorf("open: %w", fs.ErrPermission)
}

// TestPlanHidden takes what may not be read for absent and names it; Plan fails there.
func TestPlanHidden(t *testing.T) {
	b := hosttest.NewBench(nil)
	var told []string
	hidden := func(name string, _ error) { told = append(told, name) }
	want := []engine.Resource{secret{hosttest.Value{On: b, Key: "a", State: "1"}}}
	changes, err := engine.PlanWithout(t.Context(), &host.Host{}, want, hidden)
	if err != nil || !slices.Equal(hosttest.Texts(changes), []string{"a:  -> 1"}) || !slices.Equal(told, []string{"a"}) {
		t.Errorf("planned %q, told of %q, %v", hosttest.Texts(changes), told, err)
	}
	if _, err := engine.Plan(t.Context(), &host.Host{}, want); !errors.Is(err, fs.ErrPermission) || err.Error() != "a: open: permission denied" {
		t.Errorf("the error is %v", err)
	}
}

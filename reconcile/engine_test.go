package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"
)

// A bench is a machine of plain values that notes what is done to it.
type bench struct {
	values map[string]string
	writes []string
	// broken are writes ("name=text") that fail; written is called at each.
	broken  map[string]error
	written func(write string)
	// forget are writes that are undone behind the engine's back, so often.
	forget map[string]int
}

func newBench(values map[string]string) *bench {
	return &bench{values: values, broken: map[string]error{}, forget: map[string]int{}, written: func(string) {}}
}

// A value is a resource of a bench.
type value struct {
	on         *bench
	name, text string
}

func (v value) Name() string   { return v.name }
func (v value) Text() string   { return v.text }
func (v value) Traits() Traits { return Traits{} }

func (v value) Read(context.Context, *Host) (Resource, error) {
	return value{v.on, v.name, v.on.values[v.name]}, nil
}

func (v value) Write(context.Context, *Host) error {
	write := v.name + "=" + v.text
	v.on.writes = append(v.on.writes, write)
	v.on.written(write)
	if err := v.on.broken[write]; err != nil {
		v.on.values[v.name] = "half"
		return err
	}
	if v.on.forget[write] > 0 {
		v.on.forget[write]--
		return nil
	}
	v.on.values[v.name] = v.text
	return nil
}

// want lists resources of a bench as "name=text".
func (b *bench) want(all ...string) (want []Resource) {
	for _, s := range all {
		name, text, _ := strings.Cut(s, "=")
		want = append(want, value{b, name, text})
	}
	return want
}

// wrote compares what was written since the last time.
func (b *bench) wrote(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(b.writes, want) {
		t.Errorf("wrote %q, want %q", b.writes, want)
	}
	b.writes = nil
}

func (b *bench) is(t *testing.T, want string) {
	t.Helper()
	if got := fmt.Sprint(b.values); got != want {
		t.Errorf("the machine has %s, want %s", got, want)
	}
}

// texts prints changes as "name: before -> after".
func texts(changes []Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.After.Name()+": "+c.Before.Text()+" -> "+c.After.Text())
	}
	return all
}

// TestConverge writes what differs in the order that is asked for, once.
func TestConverge(t *testing.T) {
	b := newBench(map[string]string{"a": "0", "b": "1", "d": "4"})
	want := b.want("c=1", "b=1", "a=1", "d=")
	changes, err := Converge(t.Context(), &Host{}, want)
	if err != nil {
		t.Fatal(err)
	}
	if got := texts(changes); !slices.Equal(got, []string{"c:  -> 1", "a: 0 -> 1", "d: 4 -> "}) {
		t.Errorf("changed %q", got)
	}
	b.wrote(t, "c=1", "a=1", "d=")
	if changes, err = Converge(t.Context(), &Host{}, want); err != nil || changes != nil {
		t.Errorf("again: %v, %v", texts(changes), err)
	}
	b.wrote(t)
}

// TestConvergeUntilSettled writes again what a daemon undid, and tells of it as one change from what was found first.
func TestConvergeUntilSettled(t *testing.T) {
	b := newBench(map[string]string{"b": "0"})
	b.forget["b=1"] = 2
	changes, err := Converge(t.Context(), &Host{}, b.want("a=1", "b=1"))
	if err != nil {
		t.Fatal(err)
	}
	b.wrote(t, "a=1", "b=1", "b=1", "b=1")
	if got := texts(changes); !slices.Equal(got, []string{"a:  -> 1", "b: 0 -> 1"}) {
		t.Errorf("changed %q", got)
	}
}

// TestConvergeRollsBack takes everything back in reverse when a write fails, the half-done one too.
func TestConvergeRollsBack(t *testing.T) {
	b := newBench(map[string]string{"a": "0", "c": "0", "d": "0"})
	b.broken["c=1"] = errors.New("no space left")
	changes, err := Converge(t.Context(), &Host{}, b.want("a=1", "b=1", "c=1", "d=1"))
	if err == nil || err.Error() != "c: no space left\nevery change was rolled back" || !errors.Is(err, b.broken["c=1"]) {
		t.Errorf("the error is %v", err)
	}
	if changes != nil {
		t.Errorf("changed %q, and nothing is", texts(changes))
	}
	b.wrote(t, "a=1", "b=1", "c=1", "c=0", "b=", "a=0")
	b.is(t, "map[a:0 b: c:0 d:0]")
}

// TestConvergeLeavesBehind says what could not be taken back.
func TestConvergeLeavesBehind(t *testing.T) {
	b := newBench(map[string]string{"a": "0", "b": "0"})
	b.broken["b=1"] = errors.New("no space left")
	b.broken["a=0"] = errors.New("read-only")
	changes, err := Converge(t.Context(), &Host{}, b.want("a=1", "b=1"))
	want := "b: no space left\nrolling back: a: read-only: left behind: a (is half)"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	if got := texts(changes); !slices.Equal(got, []string{"a: 0 -> half"}) {
		t.Errorf("what is left is %q", got)
	}
}

// TestConvergeTimeout says what did not settle, and why it stopped waiting.
func TestConvergeTimeout(t *testing.T) {
	b := newBench(map[string]string{"a": "0", "b": "0"})
	b.forget["b=1"] = 1 << 30
	ctx, cancel := context.WithTimeoutCause(t.Context(), 3*settle, errors.New("the timeout is over"))
	defer cancel()
	_, err := Converge(ctx, &Host{}, b.want("a=1", "b=1"))
	want := "the timeout is over: did not settle in time: b (is 0)\nevery change was rolled back"
	if err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %s", err, want)
	}
	b.is(t, "map[a:0 b:0]")
}

// TestConvergeInterrupted stops between two writes: what was not written is not written back.
func TestConvergeInterrupted(t *testing.T) {
	b := newBench(map[string]string{"a": "0", "b": "0", "c": "0"})
	ctx, interrupt := context.WithCancelCause(t.Context())
	b.written = func(write string) {
		if write == "b=1" {
			interrupt(errors.New("interrupt signal received"))
		}
	}
	_, err := Converge(ctx, &Host{}, b.want("a=1", "b=1", "c=1"))
	if err == nil || !strings.HasPrefix(err.Error(), "interrupt signal received: ") {
		t.Errorf("the error is %v", err)
	}
	b.wrote(t, "a=1", "b=1", "b=0", "a=0")
	b.is(t, "map[a:0 b:0 c:0]")

	// One that is over before it begins writes nothing at all.
	if _, err := Converge(ctx, &Host{}, b.want("a=1")); err == nil {
		t.Error("no error")
	}
	b.wrote(t)
}

// A secret is a resource that may not be read.
type secret struct{ value }

func (secret) Read(context.Context, *Host) (Resource, error) {
	return nil, fmt.Errorf("open: %w", fs.ErrPermission)
}

// TestPlanHidden shows to whom may not look what would be there, and says so; without anyone to tell it is an error.
func TestPlanHidden(t *testing.T) {
	b := newBench(nil)
	var told []string
	h := &Host{Hidden: func(name string, _ error) { told = append(told, name) }}
	want := []Resource{secret{value{b, "a", "1"}}}
	changes, err := Plan(t.Context(), h, want)
	if err != nil || !slices.Equal(texts(changes), []string{"a:  -> 1"}) || !slices.Equal(told, []string{"a"}) {
		t.Errorf("planned %q, told of %q, %v", texts(changes), told, err)
	}
	if _, err := Plan(t.Context(), &Host{}, want); !errors.Is(err, fs.ErrPermission) || err.Error() != "a: open: permission denied" {
		t.Errorf("the error is %v", err)
	}
}

// TestLock lets one run at a time work, says who it is, and leaves nothing behind.
func TestLock(t *testing.T) {
	h, dir := hostOf(t, "")
	unlock, err := h.Lock(t.Context(), "mape-netplan apply")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	if _, err := h.Lock(ctx, "mape-netplan remove"); err == nil || !strings.HasPrefix(err.Error(), "another run is at work: mape-netplan apply, pid ") {
		t.Errorf("the error is %v", err)
	}
	next := make(chan func())
	go func() {
		unlock, err := h.Lock(context.Background(), "mape-netplan remove")
		if err != nil {
			t.Error(err)
		}
		next <- unlock
	}()
	select {
	case <-next:
		t.Error("two runs at once")
	case <-time.After(3 * settle):
	}
	unlock()
	(<-next)()
	if left, err := fs.Glob(h.Root.FS(), "*"); err != nil || left != nil {
		t.Errorf("%q is left in %s, %v", left, dir, err)
	}
}

package engine_test

import (
	"context"
	"errors"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/internal/hosttest"
)

// A kind is one that the engine has never seen: all that it knows of it is what its traits and methods tell.
type kind struct {
	hosttest.Value
	traits engine.Traits
}

func (k kind) Traits() engine.Traits { return k.traits }

func (k kind) Read(context.Context, *host.Host) (engine.Resource, error) {
	k.State = k.On.Values[k.Key]
	return k, nil
}

// A rising kind becomes 1 by itself when it is 0.5.
type rising struct{ kind }

func (r rising) Read(ctx context.Context, h *host.Host) (engine.Resource, error) {
	live, err := r.kind.Read(ctx, h)
	return rising{live.(kind)}, err
}

func (r rising) Settles(want engine.Resource) bool { return r.State == "0.5" && want.Text() == "1" }

// Restore of a rising kind is what it was before it rose.
func (r rising) Restore(engine.Resource) []engine.Resource {
	r.State = "0"
	return []engine.Resource{r}
}

// staged lists a kind of each stage as "name=1", from the last stage to the first, and one that cannot be written.
func staged(b *hosttest.Bench) (want []engine.Resource) {
	for _, s := range []struct {
		name  string
		stage engine.Stage
	}{{"cleanup", engine.Cleanup}, {"live", engine.Live}, {"file", engine.Files}} {
		want = append(want, kind{hosttest.Value{On: b, Key: s.name, State: "1"}, engine.Traits{Stage: s.stage}})
	}
	b.Broken["last=1"] = errors.New("no space left")
	return append(want, b.Want("last=1")...)
}

// TestKindInItsStage: a kind of its own is written in the order of the list, and written back in its stage.
func TestKindInItsStage(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"cleanup": "0", "file": "0", "last": "0", "live": "0"})
	changes, err := engine.Converge(t.Context(), &host.Host{}, staged(b))
	if !errors.Is(err, b.Broken["last=1"]) || changes != nil {
		t.Errorf("changed %q, %v", hosttest.Texts(changes), err)
	}
	b.Wrote(t, "cleanup=1", "live=1", "file=1", "last=1", "file=0", "last=0", "live=0", "cleanup=0")
	b.Is(t, "map[cleanup:0 file:0 last:0 live:0]")
}

// TestKindGoesWithItsLink: what a link took along is written back in its stage as well, though it was as wanted.
func TestKindGoesWithItsLink(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"cleanup": "1", "file": "1", "link": "0", "last": "0", "live": "1"})
	b.Written = func(write string) {
		if write == "link=1" {
			b.Values["live"], b.Values["file"] = "", ""
		}
	}
	if _, err := engine.Converge(t.Context(), &host.Host{}, append(b.Want("link=1"), staged(b)...)); !errors.Is(err, b.Broken["last=1"]) {
		t.Error(err)
	}
	b.Wrote(t, "link=1", "last=1", "file=1", "last=0", "link=0", "live=1")
}

// TestKindSettles: what becomes as wanted by itself is waited for and not written, and its kind says what it was.
func TestKindSettles(t *testing.T) {
	b := hosttest.NewBench(map[string]string{"address": "0.5", "route": "0"})
	b.Written = func(write string) {
		if write == "route=1" {
			b.Values["address"] = "1"
		}
	}
	want := append([]engine.Resource{rising{kind{Value: hosttest.Value{On: b, Key: "address", State: "1"}}}}, b.Want("route=1")...)
	if changes, err := engine.Converge(t.Context(), &host.Host{}, want); err != nil || len(changes) != 1 {
		t.Errorf("changed %q, %v", hosttest.Texts(changes), err)
	}
	b.Wrote(t, "route=1")
	b.Values["address"], b.Broken["last=1"] = "0.7", errors.New("no space left")
	if _, err := engine.Converge(t.Context(), &host.Host{}, append(want, b.Want("last=1")...)); !errors.Is(err, b.Broken["last=1"]) {
		t.Error(err)
	}
	b.Wrote(t, "address=1", "last=1", "last=", "address=0")
}

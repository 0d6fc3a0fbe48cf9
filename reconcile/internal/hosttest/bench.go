package hosttest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
)

// A Bench is a machine of plain values that records its writes.
type Bench struct {
	Values map[string]string
	Writes []string
	// Broken are writes ("name=text") that fail. Written is called at each write.
	Broken  map[string]error
	Written func(write string)
	// Forget is how many times a write is undone behind the engine's back.
	Forget map[string]int
}

func NewBench(values map[string]string) *Bench {
	return &Bench{Values: values, Broken: map[string]error{}, Forget: map[string]int{}, Written: func(string) {}}
}

// A Value is a resource of a bench.
type Value struct {
	On         *Bench
	Key, State string
}

func (v Value) Name() string { return v.Key }

func (v Value) Text() string { return v.State }

func (v Value) Traits() engine.Traits { return engine.Traits{} }

func (v Value) Read(context.Context, *host.Host) (engine.Resource, error) {
	return Value{v.On, v.Key, v.On.Values[v.Key]}, nil
}

func (v Value) Write(context.Context, *host.Host) error {
	write := v.Key + "=" + v.State
	v.On.Writes = append(v.On.Writes, write)
	v.On.Written(write)
	if err := v.On.Broken[write]; err != nil {
		v.On.Values[v.Key] = "half"
		return err
	}
	if v.On.Forget[write] > 0 {
		v.On.Forget[write]--
		return nil
	}
	v.On.Values[v.Key] = v.State
	return nil
}

// Want lists resources of a bench as "name=text".
func (b *Bench) Want(all ...string) (want []engine.Resource) {
	for _, s := range all {
		name, text, _ := strings.Cut(s, "=")
		want = append(want, Value{b, name, text})
	}
	return want
}

// Wrote compares what was written since the last time.
func (b *Bench) Wrote(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(b.Writes, want) {
		t.Errorf("wrote %q, want %q", b.Writes, want)
	}
	b.Writes = nil
}

func (b *Bench) Is(t *testing.T, want string) {
	t.Helper()
	if got := fmt.Sprint(b.Values); got != want {
		t.Errorf("the machine has %s, want %s", got, want)
	}
}

// Texts prints changes as "name: before -> after".
func Texts(changes []engine.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.After.Name()+": "+c.Before.Text()+" -> "+c.After.Text())
	}
	return all
}

// Names of what changes.
func Names(changes []engine.Change) (all []string) {
	for _, c := range changes {
		all = append(all, c.After.Name())
	}
	return all
}

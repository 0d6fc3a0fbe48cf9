package hb46pp

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mape-netplan/reconcile/provider/hb46pp/hb46pptest"
)

// A line is a resolver and provisioning servers, and a client that knows of them.
type line struct {
	*hb46pptest.Line
	t      *testing.T
	client Client
}

func newLine(t *testing.T) *line {
	l := &line{Line: hb46pptest.New(t), t: t}
	l.client = Client{
		Servers: []netip.AddrPort{l.Resolver}, Interface: "lo", Roots: l.Roots(), Loopback: true,
		Limits: Limits{DNS: 300 * time.Millisecond, Server: time.Second, Total: 3 * time.Second, Body: 1 << 20},
	}
	return l
}

func (l *line) ask(q Question) (Answer, error) {
	l.t.Helper()
	q.Version = "v1.4.2"
	answer, err := l.client.Ask(context.Background(), q)
	if failure := (*Failure)(nil); err != nil && !errors.As(err, &failure) {
		l.t.Errorf("%v is no Failure", err)
	}
	if err != nil && strings.Contains(err.Error(), "secret") {
		l.t.Errorf("the error tells the password: %v", err)
	}
	return answer, err
}

// wantFailure asks and compares the whole of what is said. PORT stands for any.
func (l *line) wantFailure(event Event, want string) {
	l.t.Helper()
	_, err := l.ask(Question{})
	var failure *Failure
	if !errors.As(err, &failure) || failure.Event != event {
		l.t.Errorf("%#v is no failure of kind %v", err, event)
	}
	if err != nil {
		wantError(l.t, errors.New(ports.ReplaceAllString(err.Error(), "example.jp:PORT")), want)
	}
}

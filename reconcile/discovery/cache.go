package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/provider/hb46pp"
)

// CachePath is the file with the line's last answer, for when its server is down
// (v6mig-prov 1.1, section 3.5). It has the user and a token, and no password.
const CachePath = "/var/lib/mape-netplan/hb46pp.json"

// A Cache is that file. Without Data it is absent.
type Cache struct{ Data string }

func (Cache) Name() string { return "file " + CachePath }

func (Cache) Traits() engine.Traits {
	return engine.Traits{Stage: engine.Files, Path: CachePath, Daemon: true}
}

// Text is the file without what is only between the user and the provider.
func (c Cache) Text() string {
	if c.Data == "" {
		return ""
	}
	var d *Discovery
	err := json.Unmarshal([]byte(c.Data), &d)
	data, e := json.MarshalIndent(d, "", "  ")
	if err != nil || e != nil {
		return "damaged\n"
	}
	return string(data) + "\n"
}

func (Cache) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	data, err := h.ReadPrivate(CachePath)
	return Cache{data}, err
}

// Write replaces or removes the file. The process keeps what it knows in its Store: else it would ask again at once.
func (c Cache) Write(_ context.Context, h *host.Host) error { return h.WritePrivate(CachePath, c.Data) }

// cached is a Discovery as the file has it.
type cached struct {
	*Discovery
	User   string        `json:"user,omitempty"`
	Server string        `json:"server,omitempty"`
	Token  *hb46pp.Token `json:"token,omitempty"`
}

// A Store is the last discovery of this process. Some of it is nowhere else: a reply
// that must not be stored, and when to ask again.
type Store struct{ Last atomic.Pointer[Discovery] }

// ErrUnkept is wrapped by the error of a file that cannot be written. The process knows what the line said nevertheless.
var ErrUnkept = errors.New("what the line said cannot be kept for when its server does not answer")

// Remember keeps a discovery: in the Store for as long as this process lives, and a
// good reply in the file.
func (s *Store) Remember(h *host.Host, d *Discovery) (*Discovery, error) {
	s.Last.Store(d)
	if err := d.keep(h); err != nil {
		return d, fmt.Errorf("%w: %s: %w", ErrUnkept, CachePath, err)
	}
	return d, nil
}

// keep writes the file.
func (d *Discovery) keep(h *host.Host) error {
	kept, file := *d, Cache{}
	switch {
	case d.Problem != "" && !d.Withdrawn:
		return nil // There is no new answer.
	case !d.Answered() && !d.Withdrawn:
		return file.Write(context.Background(), h)
	case d.Unstored:
		kept.Reply, kept.Token = nil, hb46pp.Token{}
	}
	c := cached{Discovery: &kept, User: kept.User, Server: kept.Server}
	if kept.Token.Value != "" {
		c.Token = &kept.Token
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	file.Data = string(data) + "\n"
	return file.Write(context.Background(), h)
}

// Latest is the discovery of this process, or kept, which is the file's, if another
// process asked later.
func (s *Store) Latest(kept *Discovery) *Discovery {
	last := s.Last.Load()
	if last != nil && (kept == nil || !kept.Asked.After(last.Asked)) {
		return last
	}
	return kept
}

// Cached reads the file; nil if there is none. One that is damaged or cannot be read
// counts as expired.
func Cached(h *host.Host) *Discovery {
	d, err := ReadCache(h)
	if err != nil {
		return unreadable(err)
	}
	return d
}

func unreadable(err error) *Discovery {
	return &Discovery{Problem: "the last answer cannot be read: " + CachePath + ": " + err.Error()}
}

// ReadCache is Cached, but the error for a file that the caller may not read is a host.Unread.
func ReadCache(h *host.Host) (*Discovery, error) {
	data, err := h.ReadFile(CachePath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.Is(err, fs.ErrPermission):
		return nil, host.Unread{{Path: CachePath, Err: err}}
	}
	c := cached{Discovery: new(Discovery)}
	if err == nil {
		err = json.Unmarshal(data, &c)
	}
	d := c.Discovery
	if err == nil {
		err = d.Check()
	}
	if err != nil {
		return unreadable(err), nil
	}
	d.User, d.Server = c.User, c.Server
	if c.Token != nil {
		d.Token = *c.Token
	}
	if !d.Offers() {
		d.Next = d.Asked // A new process asks again.
	}
	return d, nil
}

package discovery

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"path"
	"sync/atomic"

	"mape-netplan/reconcile/engine"
	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/provider/hb46pp"
)

// CachePath is what the line said of its rules, for when its server is down
// (v6mig-prov 1.1, section 3.5). It has a user and a token in it and no password.
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

// Read takes what is no file, or has no directory on the way to it, for ours being absent.
func (Cache) Read(_ context.Context, h *host.Host) (engine.Resource, error) {
	info, err := h.Root.Lstat(host.Local(CachePath))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Cache{}, err
	case err != nil || !info.Mode().IsRegular():
		return Cache{}, nil
	}
	data, err := h.Root.ReadFile(host.Local(CachePath))
	if err == nil && len(data) == 0 {
		data = []byte("\n") // An emptied file is not an absent one.
	}
	return Cache{string(data)}, err
}

// Write replaces the file atomically, or removes it and its directory. What the
// process has learnt stays known to it: else it would ask again at once.
func (c Cache) Write(ctx context.Context, h *host.Host) error {
	if c.Data == "" {
		if live, err := c.Read(ctx, h); err != nil || live.Text() == "" {
			return err
		}
		if err := h.Root.Remove(host.Local(CachePath)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = h.Root.Remove(host.Local(path.Dir(CachePath))) // Fails when it is not empty: then it is not ours to remove.
		return nil
	}
	return h.Replace(CachePath, 0o600, c.Data)
}

// cached is how a Discovery is kept.
type cached struct {
	*Discovery
	User   string        `json:"user,omitempty"`
	Server string        `json:"server,omitempty"`
	Token  *hb46pp.Token `json:"token,omitempty"`
}

// A Store is what this process has learnt of a line's rules. Some of it is
// nowhere else: a reply that must not be stored, and when to ask again.
type Store struct{ Learnt atomic.Pointer[Discovery] }

// Remember keeps what the line said: here for as long as this process lives,
// and a good reply in the file.
func (s *Store) Remember(h *host.Host, d *Discovery) (*Discovery, error) {
	s.Learnt.Store(d)
	kept, file := *d, Cache{}
	switch {
	case d.Problem != "" && !d.Withdrawn:
		return d, nil // Nothing new was learnt.
	case d.Reply == nil:
		return d, file.Write(context.Background(), h)
	case d.Unstored:
		kept.Reply, kept.Token = nil, hb46pp.Token{}
	}
	c := cached{Discovery: &kept, User: kept.User, Server: kept.Server}
	if kept.Token.Value != "" {
		c.Token = &kept.Token
	}
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	file.Data = string(data) + "\n"
	return d, file.Write(context.Background(), h)
}

// Latest is what this process learnt, or what the file has if another one
// asked later.
func (s *Store) Latest(kept *Discovery) *Discovery {
	learnt := s.Learnt.Load()
	if learnt != nil && (kept == nil || !kept.Asked.After(learnt.Asked)) {
		return learnt
	}
	return kept
}

// Cached reads the file; nil is that there is none. One that is damaged, or may
// not be read, is as one that has run out.
func Cached(h *host.Host) *Discovery {
	d, err := ReadCache(h)
	if err != nil {
		return unreadable(err)
	}
	return d
}

func unreadable(err error) *Discovery {
	return &Discovery{Problem: "what it said before cannot be read: " + CachePath + ": " + err.Error()}
}

// ReadCache is Cached, but for a file that may not be read, which is a host.Unread.
func ReadCache(h *host.Host) (*Discovery, error) {
	data, err := h.Root.ReadFile(host.Local(CachePath))
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
		d.Next = d.Asked // Whoever starts anew asks anew.
	}
	return d, nil
}

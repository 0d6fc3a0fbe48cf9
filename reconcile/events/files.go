package events

import (
	"path/filepath"
	"slices"
	"strings"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
)

// readFiles reports changes of files, and that inotify's queue overflowed.
func (e *Listener) readFiles() {
	for {
		select {
		case event, ok := <-e.files.Events:
			if !ok {
				return
			}
			if e.matters(event.Name) {
				e.Wake()
			}
		case _, ok := <-e.files.Errors:
			if !ok {
				return
			}
			e.Wake()
		}
	}
}

// matters reports whether a look reads a file: ours, the section, and those that netplan and networkd read. Their
// directories have others too.
func (e *Listener) matters(name string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	base := filepath.Base(name)
	if e.names[name] || e.watched[name] {
		return true
	}
	// A file is written under a name that begins with a dot, and then renamed.
	return !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".yaml") && strings.Contains(name, "/netplan/") || strings.Contains(name, "/systemd/network/"))
}

// WatchFiles replaces the files that are watched beside netplan's and networkd's, by absolute path. inotify watches
// directories; one that was deleted and made again is watched again by the next call.
func (e *Listener) WatchFiles(h *host.Host, names []string) {
	root := h.Root.Name()
	directories := map[string]bool{}
	files := map[string]bool{}
	for _, n := range names {
		files[n] = true
		directories[filepath.Dir(n)] = true
		if target, err := filepath.EvalSymlinks(n); err == nil && target != n {
			files[target] = true
			directories[filepath.Dir(target)] = true
		}
	}
	for _, dir := range append(slices.Clone(netplan.Dirs), networkd.NetworkDir) {
		directories[filepath.Join(root, dir)] = true
	}
	e.mu.Lock()
	e.names = files
	e.mu.Unlock()
	for dir := range directories {
		if e.files.Add(dir) != nil {
			continue // It does not exist. When it comes, its parent is watched, or nothing of ours is in it.
		}
		e.mu.Lock()
		e.watched[dir] = true
		e.mu.Unlock()
	}
}

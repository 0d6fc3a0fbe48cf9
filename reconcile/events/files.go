package events

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"

	"mape-netplan/reconcile/host"
	"mape-netplan/reconcile/netplan"
	"mape-netplan/reconcile/networkd"
)

// Files are watched by inotify.
type Files struct {
	watcher *fsnotify.Watcher
	wake    func() // called with each change

	mu      sync.Mutex
	names   map[string]bool // files that matter wherever they are
	watched map[string]bool // directories
}

func newFiles(wake func()) (*Files, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	return &Files{watcher: w, wake: wake, names: map[string]bool{}, watched: map[string]bool{}}, nil
}

// read reports changes of files, and that inotify's queue overflowed.
func (f *Files) read() {
	for {
		select {
		case event, ok := <-f.watcher.Events:
			if !ok {
				return
			}
			if f.matters(event.Name) {
				f.wake()
			}
		case _, ok := <-f.watcher.Errors:
			if !ok {
				return
			}
			f.wake()
		}
	}
}

// matters reports whether a look reads a file: ours, the section, and those that netplan and networkd read. Their
// directories have others too.
func (f *Files) matters(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	base := filepath.Base(name)
	if f.names[name] || f.watched[name] {
		return true
	}
	// A file is written under a name that begins with a dot, and then renamed.
	return !strings.HasPrefix(base, ".") && (strings.HasSuffix(base, ".yaml") && strings.Contains(name, "/netplan/") || strings.Contains(name, "/systemd/network/"))
}

// WatchFiles replaces the files that are watched beside netplan's and networkd's, by absolute path. inotify watches
// directories; one that was deleted and made again is watched again by the next call.
func (f *Files) WatchFiles(h *host.Host, names []string) {
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
	f.mu.Lock()
	f.names = files
	f.mu.Unlock()
	for dir := range directories {
		if f.watcher.Add(dir) != nil {
			continue // It does not exist. When it comes, its parent is watched, or nothing of ours is in it.
		}
		f.mu.Lock()
		f.watched[dir] = true
		f.mu.Unlock()
	}
}

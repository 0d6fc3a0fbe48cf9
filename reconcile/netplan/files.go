// Package netplan reads a machine's netplan files as netplan merges them, renders
// our own file and reads it back, and runs netplan's generator.
//
// It guarantees:
//   - [ReadFiles] returns the files in the order in which netplan merges them,
//     without our own, and reports each that it cannot read: none is skipped
//     silently.
//   - [Definitions] merges by section and ID and finds interfaces by "match" as
//     netplan does: the last value wins, lists append.
//   - [ReadBack] returns what [Render] was given, as far as a later run needs it,
//     however the file was edited in between.
//   - No error quotes a file, because netplan's files contain passwords.
//   - Only [Generate] changes the machine. [DryRun] works on a copy.
package netplan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"mape-netplan/reconcile/host"
)

// Dirs are netplan's directories in order of precedence: a file shadows those
// of the same name in later ones.
var Dirs = []string{"/run/netplan", "/etc/netplan", "/lib/netplan"}

// A File is what the program reads of a netplan file.
type File struct {
	Path        string
	renderer    string
	definitions []namedDefinition // as the file has them; those with the same section and ID are to be merged
}

type namedDefinition struct {
	section, id string
	yamlDefinition
}

// Broken is the error of a file that is not a netplan file, or that even root
// cannot read.
type Broken struct{ error }

func (b Broken) Unwrap() error { return b.error }

// ReadFiles reads every file but ours, in the order in which netplan merges
// them. The error is a host.Unread with the files and directories that cannot be
// read; the other files are returned beside it.
func ReadFiles(h *host.Host) ([]File, error) {
	paths, unread, err := mergeOrder(h)
	if err != nil {
		return nil, err
	}
	var files []File
	sections := map[string]string{} // by ID
	for _, p := range paths {
		var f File
		data, err := h.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a dangling symbolic link, which netplan skips too
		}
		if err == nil {
			f, err = parse(data)
		}
		if err == nil {
			err = f.retyped(sections)
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			err = Broken{err}
		}
		if err != nil {
			unread = append(unread, host.FileError{Path: p, Err: err})
			continue
		}
		f.Path = p
		files = append(files, f)
	}
	return files, unread.Err()
}

// retyped is the error of a definition whose ID another section has, here or in a file
// before. It adds those of the file.
func (f File) retyped(sections map[string]string) error {
	for _, d := range f.definitions {
		if was := cmp.Or(sections[d.id], d.section); was != d.section {
			return refused(fmt.Sprintf(": network.%s.%s is also in %s", d.section, d.id, was))
		}
		sections[d.id] = d.section
	}
	return nil
}

// mergeOrder lists the files but ours by name, without those that others
// shadow, and the directories that cannot be read.
func mergeOrder(h *host.Host) (paths []string, unread host.Unread, err error) {
	at := map[string]string{} // base name to path
	for _, dir := range slices.Backward(Dirs) {
		// Glob takes a directory that cannot be read for an empty one.
		if _, err := h.ReadDir(dir); errors.Is(err, fs.ErrPermission) {
			unread = append(unread, host.FileError{Path: dir, Err: err})
		}
		found, err := h.Glob(dir + "/*.yaml")
		if err != nil {
			return nil, nil, err
		}
		for _, p := range found {
			at[path.Base(p)] = p
		}
	}
	for _, name := range slices.Sorted(maps.Keys(at)) {
		if at[name] != Path {
			paths = append(paths, at[name])
		}
	}
	return paths, unread, nil
}

// Namesake is a file of others that has the name of ours in another of netplan's directories: netplan reads only one of the
// two. It is "" where only ours is there.
func Namesake(h *host.Host) string {
	for _, dir := range Dirs {
		p := path.Join(dir, path.Base(Path))
		if _, err := h.Root.Lstat(host.Local(p)); err == nil && p != Path {
			return p
		}
	}
	return ""
}

// Renderer is the renderer of all definitions that have none of their own: that
// of the last file that has one. "" is networkd.
func Renderer(files []File) string {
	renderer := ""
	for _, file := range files {
		renderer = cmp.Or(file.renderer, renderer)
	}
	return renderer
}

// Mentions reports whether a file has a renderer anywhere.
func Mentions(files []File, renderer string) bool {
	return slices.ContainsFunc(files, func(f File) bool {
		return f.renderer == renderer || slices.ContainsFunc(f.definitions, func(d namedDefinition) bool {
			return d.Renderer == renderer || d.inherited == renderer
		})
	})
}

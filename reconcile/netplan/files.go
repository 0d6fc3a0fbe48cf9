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
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/advice"
	"mape-netplan/reconcile/host"
)

// Dirs are netplan's directories in order of precedence: a file shadows those
// of the same name in later ones.
var Dirs = []string{"/run/netplan", "/etc/netplan", "/lib/netplan"}

// A File is what the program reads of a netplan file.
type File struct {
	Path    string
	Network map[string]yaml.Node `yaml:"network"` // sections, and keys such as version
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
	for _, p := range paths {
		f := File{Path: p}
		data, err := h.ReadFile(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a dangling symbolic link, which netplan skips too
		}
		if err == nil {
			err = unquoted(yaml.Unmarshal(data, &f))
		}
		if err != nil && !errors.Is(err, fs.ErrPermission) {
			err = Broken{err}
		}
		if err != nil {
			unread = append(unread, host.FileError{Path: p, Err: err})
			continue
		}
		files = append(files, f)
	}
	return files, unread.Err()
}

// mergeOrder lists the files but ours by name, without those that others
// shadow, and the directories that cannot be read.
func mergeOrder(h *host.Host) (paths []string, unread host.Unread, err error) {
	at := map[string]string{} // base name to path
	for _, dir := range slices.Backward(Dirs) {
		// Glob takes a directory that cannot be read for an empty one.
		if d, err := h.Root.Open(host.Local(dir)); err == nil {
			d.Close()
		} else if errors.Is(err, fs.ErrPermission) {
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

// lineOf finds the line in an error of yaml.v3, which may be one too low.
var lineOf = regexp.MustCompile(`\bline \d+`)

// unquoted is an error of yaml.v3 without the content that it quotes: netplan's
// files contain passwords of Wi-Fi, 802.1X and modems.
func unquoted(err error) error {
	if err == nil {
		return nil
	}
	near := ""
	if line := lineOf.FindString(err.Error()); line != "" {
		near = ", near " + line
	}
	return advice.Advice{What: "is not a netplan file" + near, Do: `run "netplan generate" to see what is wrong with it`}
}

// each calls f for every definition of a file.
func (file File) each(f func(section, id string, d yamlDefinition)) {
	for section, node := range file.Network {
		var definitions map[string]yaml.Node
		if node.Decode(&definitions) != nil {
			continue // a key such as version or renderer
		}
		for id, n := range definitions {
			d := yamlDefinition{inherited: scalar(definitions["renderer"])}
			// A section may have a renderer beside its definitions.
			if (n.Kind != yaml.ScalarNode || n.Tag == "!!null") && n.Decode(&d) == nil {
				f(section, id, d)
			}
		}
	}
}

// Renderer is the renderer of all definitions that have none of their own: that
// of the last file that has one. "" is networkd.
func Renderer(files []File) string {
	renderer := ""
	for _, file := range files {
		renderer = cmp.Or(scalar(file.Network["renderer"]), renderer)
	}
	return renderer
}

// scalar is the text of a node, "" for a list, a mapping or a missing key.
func scalar(n yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		return ""
	}
	return n.Value
}

package schema

import (
	"cmp"
	"slices"
	"strings"
)

// Sound says whether nothing is wrong with what the section says at a path, in
// it or around it, so that it can be looked at further. The path is that of
// [Config.Problem].
func (c *Config) Sound(path string) bool {
	path = strings.TrimSuffix("mape."+path, ".")
	return !slices.ContainsFunc(c.problems, func(p Problem) bool {
		about := cmp.Or(p.about, p.Path)
		return !p.Warning && (within(about, path) || within(path, about))
	})
}

// within says whether a path is another or lies in it; everything is in "".
func within(path, around string) bool {
	rest, ok := strings.CutPrefix(path, around)
	return ok && (around == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

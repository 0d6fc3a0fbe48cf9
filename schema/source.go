package schema

import (
	"fmt"
	"strings"
)

// A source is the text of a file and where in it each value stands.
type source struct {
	name   string
	lines  []string
	shown  []string         // the lines without passwords
	places map[string]place // by path: "mape.rules[0].ipv4"
}

// A spot is a position as YAML counts: lines and characters from 1.
type spot struct{ line, col int }

// A place is where a key and its value stand. An entry of a list has no key of
// its own.
type place struct{ key, value spot }

func newSource(name, text string) *source {
	lines := splitLines(text)
	return &source{name: name, lines: lines, shown: masked(lines), places: map[string]place{}}
}

// splitLines splits a text where YAML does: besides \n and \r\n at a lone \r
// and at Unicode's three line ends. Anything else would put every later
// problem on the wrong line.
func splitLines(text string) []string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(text)
	lines := strings.Split(text, "\n")
	if n := len(lines) - 1; n > 0 && lines[n] == "" {
		lines = lines[:n]
	}
	return lines
}

// problem reports something at a spot. A spot past the end, where the parser
// was when it missed something, becomes the last line.
func (s *source) problem(at spot, path, message string) Problem {
	line := min(max(at.line, 1), len(s.lines))
	shown := s.shown[line-1]
	if ofDiscover(path) {
		shown = hideValue(shown) // Which may stand elsewhere, by an alias.
	}
	return Problem{File: s.name, Line: line, Col: at.col, Path: path, Message: message, Source: shown}
}

// find returns the spot of a path, or of the nearest thing around it that the
// file does say: a default stands nowhere.
func (s *source) find(path string) (spot, bool) {
	for path != "" {
		if at, ok := s.places[path]; ok {
			return at.value, true
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return spot{}, false
}

// Problem reports that a value which is well-formed does not fit something
// that only later stages know: the machine or the arithmetic. The path leaves
// out the leading mape: "wan", "rules[0].ipv6", or "" for the whole section.
// Where the file has one value and no list, the path of the only entry is that
// of the value.
func (c *Config) Problem(path, format string, args ...any) Problem {
	path = strings.TrimSuffix("mape."+path, ".")
	message := fmt.Sprintf(format, args...)
	if c.source == nil {
		return Problem{Path: path, Message: message}
	}
	if _, isEntry := c.source.places[path]; !isEntry {
		path = strings.TrimSuffix(path, "[0]")
	}
	if at, ok := c.source.find(path); ok {
		return c.source.problem(at, path, message)
	}
	return Problem{File: c.source.name, Path: path, Message: message}
}

package schema

import (
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// A source is the text of a file and where in it each value stands.
type source struct {
	name   string
	lines  []string
	secret bool             // no line is shown
	hidden map[int]bool     // lines that are not shown, from 1
	places map[string]place // by path: "mape.rules[0].ipv4"
}

// A spot is a position as YAML counts: lines and characters from 1.
type spot struct{ line, col int }

// A place is where a key and its value stand. An entry of a list has no key of
// its own.
type place struct{ key, value spot }

func newSource(name, text string) *source {
	return &source{name: name, lines: splitLines(text), hidden: map[int]bool{}, places: map[string]place{}}
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
	p := Problem{File: s.name, Line: line, Col: at.col, Path: path, Message: message}
	if !s.secret && !s.hidden[line] && !isSecret(path) { // a value of discover may stand elsewhere, by an alias
		p.Source = s.lines[line-1]
	}
	return p
}

// find returns the spot of a path. One that is not in the file, such as that of
// a default, has the spot of the innermost mapping or list around it.
func (s *source) find(path string) (spot, bool) {
	for path != "" {
		if at, ok := s.places[path]; ok {
			return at.value, true
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return spot{}, false
}

// Problem reports a well-formed value that later stages, which know the machine
// and the arithmetic, cannot use. The path leaves out the leading mape: "wan",
// "rules[0].ipv6", or "" for the whole section. Entry 0 of a list is also found
// if the file has a single value in its place.
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

func parseYAML(text string) ([]*yaml.Node, error) {
	docs := []*yaml.Node{}
	d := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		if err := d.Decode(&doc); err == io.EOF {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, doc.Content...)
	}
}

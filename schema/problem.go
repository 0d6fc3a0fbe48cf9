package schema

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoSection is wrapped by the problem of a file that has no mape: key.
var ErrNoSection = errors.New("no mape: section")

// A Problem is one thing that is wrong with a section, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1; 0 is unknown
	Col     int    `json:"col"`  // in characters from 1; 0 is the whole line
	Path    string `json:"path"` // "mape.rules[0].ipv4"; "" is the file
	Message string `json:"message"`
	Source  string `json:"source"` // the line
	Warning bool   `json:"warning"`

	about string   // the path of what is missing or misspelt; "" is Path
	rival *Problem // the earlier place that this one contradicts
	cause error
}

// Error prints the problem as compilers do: the place and the sentence, then
// the line and a caret under what is wrong.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		if p.Line > 0 && p.Col > 0 {
			fmt.Fprintf(&b, ":%d", p.Col)
		}
		b.WriteString(": ")
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
	if p.Line > 0 && p.Source != "" {
		b.WriteString(p.excerpt())
	}
	return b.String()
}

// excerpt shows the lines of the problem as they follow in the file.
func (p Problem) excerpt() string {
	shown, caret := excerpt(p.Source, p.Col)
	lines := fmt.Sprintf("\n%4d | %s", p.Line, shown)
	if p.Col > 0 {
		lines += fmt.Sprintf("\n%*s | %s^", max(4, len(fmt.Sprint(p.Line))), "", caret)
	}
	if p.rival == nil || p.rival.Line == p.Line {
		return lines
	}
	shown, _ = excerpt(p.rival.Source, p.rival.Col)
	if rival := fmt.Sprintf("\n%4d | %s", p.rival.Line, shown); p.rival.Line < p.Line {
		return rival + lines
	} else {
		return lines + rival
	}
}

// Unwrap returns the reason that a caller may want to tell from others:
// [ErrNoSection] or nil.
func (p Problem) Unwrap() error { return p.cause }

// Problems is everything that is wrong with a section. As an error it holds at
// least one that is not a warning.
type Problems []Problem

// Error prints all of them in the order of the file.
func (ps Problems) Error() string {
	sorted := slices.Clone(ps)
	sorted.sort()
	lines := make([]string, len(sorted))
	for i, p := range sorted {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is look at each.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

package schema

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// A Problem is one thing that is wrong with a section, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1; 0 is unknown
	Col     int    `json:"col"`  // in characters from 1; 0 is the whole line
	Path    string `json:"path"` // "mape.rules[0].ipv4"; "" is the file
	Message string `json:"message"`
	Source  string `json:"source"` // the line
	Warning bool   `json:"warning"`
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
		shown, caret := excerpt(p.Source, p.Col)
		fmt.Fprintf(&b, "\n%4d | %s", p.Line, shown)
		if p.Col > 0 {
			fmt.Fprintf(&b, "\n%*s | %s^", max(4, len(fmt.Sprint(p.Line))), "", caret)
		}
	}
	return b.String()
}

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

func (ps Problems) sort() {
	sort.SliceStable(ps, func(i, j int) bool { return cmp.Or(ps[i].Line-ps[j].Line, ps[i].Col-ps[j].Col) < 0 })
}

// Longer lines, such as JSON on one line, are shown only around the caret.
const (
	excerptWidth  = 100
	excerptBefore = 60
)

// excerpt returns what to print of a line, and what puts a caret under its
// col-th character when printed below.
func excerpt(line string, col int) (shown, caret string) {
	runes := []rune(line)
	at := max(col-1, 0)
	if len(runes) > excerptWidth {
		start := min(max(at-excerptBefore, 0), len(runes))
		end := min(start+excerptWidth, len(runes))
		cut := slices.Clone(runes[start:end])
		if at -= start; start > 0 {
			cut[0] = '…'
		}
		if end < len(runes) {
			cut[len(cut)-1] = '…'
		}
		runes = cut
	}
	var text, pad strings.Builder
	for i, r := range runes {
		if unicode.IsControl(r) && r != '\t' {
			r = unicode.ReplacementChar // the file must not steer the terminal
		}
		text.WriteRune(r)
		if i < at {
			pad.WriteString(blank(r))
		}
	}
	pad.WriteString(strings.Repeat(" ", max(at-len(runes), 0)))
	return text.String(), pad.String()
}

// blank is as wide as r on a terminal. A tab stays one, because only the
// terminal knows its width. Combining marks, such as the voiced mark that macOS
// writes apart, take no cell.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return ""
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return "  "
	}
	return " "
}

package schema

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A mistake is what people did when yaml.v3 says something.
type mistake struct {
	says    string
	explain func(syntaxError, []string) fault
}

var mistakes = []mistake{
	{"found character that cannot start any token", badStart},
	{"found a tab character", badTab},
	{"mapping values are not allowed", badColon},
	{"could not find expected ':'", noColon},
	{"did not find expected key", afterQuote},
	{"did not find expected '-' indicator", badEntry},
	{"did not find expected ',' or", openBracket},
	{"did not find expected node content", func(e syntaxError, lines []string) fault {
		return fault{e.cursor, "a value is missing before this, or a bracket is not closed"}
	}},
	{"found unexpected end of stream", openQuote},
	{"block sequence entries are not allowed", func(e syntaxError, lines []string) fault {
		return fault{e.cursor, "a list cannot start here; write it as [a, b], or each entry on a line of its own"}
	}},
	{"unknown anchor", unknownAnchor},
	{"exceeded max depth", func(e syntaxError, lines []string) fault {
		return fault{e.cursor, "nested too deeply"}
	}},
}

// explain says what is wrong and where, in the words of someone who writes the
// file and not of a parser.
func (e syntaxError) explain(lines []string) fault {
	if last := len(lines); e.cursor.line > last {
		e.cursor = spot{last, 1 + utf8.RuneCountInString(lines[last-1])}
	}
	if e.start = min(e.start, e.cursor.line); e.start < 1 {
		e.start = e.cursor.line
	}
	for _, m := range mistakes {
		if strings.HasPrefix(e.message, m.says) {
			bad := m.explain(e, lines)
			bad.message += fullWidth(lines, bad.at.line)
			return bad
		}
	}
	return fault{spot{e.start, 0}, "this is not YAML: " + e.message}
}

// indent is the spot where the text of a line begins.
func indent(line int, lines []string) spot {
	s := lines[line-1]
	return spot{line, 1 + utf8.RuneCountInString(s[:len(s)-len(strings.TrimLeft(s, " \t"))])}
}

func badTab(e syntaxError, lines []string) fault {
	for i, line := range lines[e.start-1:] {
		if tab := strings.IndexByte(line, '\t'); tab >= 0 && strings.Trim(line[:tab], " -?") == "" {
			return fault{spot{e.start + i, 1 + tab}, "a tab; YAML is indented with spaces only"}
		}
	}
	return fault{spot{e.start, 0}, "a tab; YAML is indented with spaces only"}
}

func badStart(e syntaxError, lines []string) fault {
	line := []rune(lines[e.cursor.line-1])
	switch i := e.cursor.col - 1; {
	case i >= len(line):
		return fault{spot{e.start, 0}, "this is not YAML: " + e.message}
	case line[i] == '\t':
		e.start = e.cursor.line
		return badTab(e, lines)
	case i > 0 && line[i-1] == '{' && line[i] == '%':
		return fault{e.cursor, unfilled}
	default:
		return fault{e.cursor, fmt.Sprintf("a value that starts with %q needs quotes around it", line[i])}
	}
}

func badColon(e syntaxError, lines []string) fault {
	line := []rune(lines[e.cursor.line-1])
	before := string(line[:min(e.cursor.col-1, len(line))])
	if strings.Contains(before, ": ") || strings.HasSuffix(before, ":") {
		return fault{e.cursor, `a second ":" in one value; put quotes around the value`}
	}
	for i := e.cursor.line - 1; i > 0; i-- {
		switch above := strings.TrimSpace(lines[i-1]); {
		case above == "" || above[0] == '#':
			continue
		case !strings.Contains(above, ":") && above[0] != '-':
			e.start = i
			return noColon(e, lines)
		}
		break
	}
	return fault{indent(e.cursor.line, lines), "this is indented further than the line above, which has a value already"}
}

func noColon(e syntaxError, lines []string) fault {
	return fault{indent(e.start, lines), `a key needs ": " after it`}
}

// textAfterQuote matches a value in quotes that goes on behind them.
var textAfterQuote = regexp.MustCompile(`(?:[:,\[{-]\s+|[\[{])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')\s*([^\s#,:\]}'"])`)

func afterQuote(e syntaxError, lines []string) fault {
	for i := e.start; i <= e.cursor.line; i++ {
		if m := textAfterQuote.FindStringSubmatchIndex(lines[i-1]); m != nil {
			return fault{spot{i, 1 + utf8.RuneCountInString(lines[i-1][:m[2]])}, "text after a closing quote"}
		}
	}
	if at, closing := strayBracket(lines, e.start, e.cursor.line); closing != 0 {
		return fault{at, fmt.Sprintf("this %q closes nothing", closing)}
	}
	return fault{indent(e.cursor.line, lines),
		"this does not continue what is above: look at its indentation, and at quotes and brackets before it"}
}

func badEntry(e syntaxError, lines []string) fault {
	if at, closing := strayBracket(lines, e.start, e.cursor.line); closing != 0 {
		return fault{at, fmt.Sprintf("this %q closes nothing", closing)}
	}
	return fault{indent(e.cursor.line, lines), `not an entry of the list above: those start with "- ", in line with each other`}
}

func openQuote(e syntaxError, lines []string) fault {
	line := []rune(lines[e.start-1])
	for i := len(line) - 1; i >= 0; i-- {
		if line[i] == '"' || line[i] == '\'' {
			return fault{spot{e.start, i + 1}, "this quote is not closed"}
		}
	}
	return fault{spot{e.start, 0}, "a quote is not closed"}
}

func unknownAnchor(e syntaxError, lines []string) fault {
	alias := "*" + strings.TrimSuffix(strings.TrimPrefix(e.message, "unknown anchor '"), "' referenced")
	for i, line := range lines {
		if before, _, ok := strings.Cut(line, alias); ok {
			if !strings.Contains(masked(lines)[i], alias) {
				return fault{spot{i + 1, 1 + utf8.RuneCountInString(before)}, "a value that starts with '*' needs quotes around it"}
			}
			return fault{spot{i + 1, 1 + utf8.RuneCountInString(before)},
				alias + " stands for nothing: there is no &" + alias[1:] + " before it"}
		}
	}
	return fault{e.cursor, e.message}
}

// fullWidth points out characters that look like YAML's but are not, near the
// place where it stumbled.
func fullWidth(lines []string, line int) string {
	for i := max(line-1, 1); i <= min(line, len(lines)); i++ {
		for _, look := range []struct{ bad, good string }{{"：", `":"`}, {"　", "a space"}, {"\u00a0", "a space"}} {
			code, _, _ := strings.Cut(lines[i-1], " #")
			if strings.Contains(code, look.bad) {
				r, _ := utf8.DecodeRuneInString(look.bad)
				return fmt.Sprintf(" (line %d has %U where %s must be)", i, r, look.good)
			}
		}
	}
	return ""
}

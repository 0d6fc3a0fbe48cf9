package schema

import (
	"fmt"
	"strings"
)

// strayBracket finds a closing bracket without an opening one.
func strayBracket(lines []string, from, to int) (spot, rune) {
	depth := 0
	for i := from; i <= to; i++ {
		code, _, _ := strings.Cut(lines[i-1], " #")
		for j, r := range []rune(code) {
			switch r {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth < 0 {
					return spot{i, j + 1}, r
				}
			}
		}
	}
	return spot{}, 0
}

// openBracket tells a missing bracket from a missing comma by looking whether
// the line where the bracket was opened closes it.
func openBracket(e syntaxError, lines []string) fault {
	closing, opening := '}', '{'
	if strings.HasSuffix(e.message, "']'") {
		closing, opening = ']', '['
	}
	last, depth := 0, 0
	line := []rune(lines[e.start-1])
	for i := len(line) - 1; i >= 0; i-- {
		switch {
		case line[i] == closing:
			depth++
		case line[i] == opening && depth == 0:
			return fault{spot{e.start, i + 1}, fmt.Sprintf("this %q is not closed, or a comma is missing after it", opening)}
		case line[i] == opening:
			last = i + 1
			depth--
		}
	}
	return fault{spot{e.start, last}, fmt.Sprintf("a comma is missing between this %q and its %q", opening, closing)}
}

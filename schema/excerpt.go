package schema

import (
	"strings"
	"unicode"
)

// Longer lines, JSON on one line for instance, are shown only around the
// caret.
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
		cut := append([]rune(nil), runes[start:end]...)
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

// wide are the characters that take two cells of a terminal: East Asian Wide
// and Fullwidth of Unicode's UAX #11, in blocks, and emoji.
var wide = []struct{ first, last rune }{
	{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0xa4cf}, {0xa960, 0xa97c}, {0xac00, 0xd7a3},
	{0xf900, 0xfaff}, {0xfe30, 0xfe6f}, {0xff01, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
}

// blank is as wide as r. A tab stays one, because only the terminal knows how
// wide it is; combining marks, such as the voiced mark that macOS writes apart,
// take no cell.
func blank(r rune) string {
	switch {
	case r == '\t':
		return "\t"
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return ""
	}
	for _, w := range wide {
		if w.first <= r && r <= w.last {
			return "  "
		}
	}
	return " "
}

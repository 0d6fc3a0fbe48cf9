package schema

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSize bounds what a bad file can cost. A section with every rule of every
// provider has 60 KiB.
const maxSize = 1 << 20

// A fault is what keeps a file from being YAML at all.
type fault struct {
	at      spot
	message string
}

// decodeText returns the text of a file, and what keeps it from being one.
// YAML's own message for that has no position.
func decodeText(data []byte) (string, *fault) {
	switch {
	case len(data) > maxSize:
		return "", &fault{spot{1, 0}, fmt.Sprintf("the file has %d bytes; a configuration has at most %d", len(data), maxSize)}
	case len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff):
		return "", &fault{spot{1, 0}, "the file is UTF-16; save it as UTF-8"}
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
			return text, &fault{spotAt(text, i), fmt.Sprintf("byte %#x is not UTF-8; save the file as UTF-8", text[i])}
		}
		if unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r) || r == '\ufffe' || r == '\uffff' || r == '\ufeff' {
			return text, &fault{spotAt(text, i), fmt.Sprintf("the character %U is not allowed in YAML; remove it", r)}
		}
	}
	return text, nil
}

// spotAt turns an offset into a position.
func spotAt(text string, offset int) spot {
	lines := splitLines(text[:offset] + "^")
	return spot{len(lines), utf8.RuneCountInString(lines[len(lines)-1])}
}

package schema

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

// quote shows a piece of the file; what does not print is escaped.
func quote(s string) string { return strconv.Quote(clip(s)) }

// clip keeps a sentence a sentence, whatever the file says.
func clip(s string) string {
	const most = 60
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}

// narrow turns the full-width forms of a Japanese input method into ASCII and
// drops space around.
func narrow(s string) string {
	return strings.TrimFunc(strings.Map(func(r rune) rune {
		if 0xff01 <= r && r <= 0xff5e {
			return r - 0xff01 + '!'
		}
		return r
	}, s), unicode.IsSpace)
}

// distance is the number of edits between two words, of which two neighbours
// that changed places are one; long ones are far from everything.
func distance(a, b string) int {
	switch {
	case len(a) > 64 || len(b) > 64:
		return 64
	case swapped([]rune(a), []rune(b)):
		return 1
	}
	return levenshtein.ComputeDistance(a, b)
}

// swapped says whether two words differ in the order of two neighbours alone.
func swapped(a, b []rune) bool {
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	return i+1 < min(len(a), len(b)) && a[i] == b[i+1] && a[i+1] == b[i] && slices.Equal(a[i+2:], b[i+2:])
}

// Nearest returns the word that is meant by a misspelt one, or "".
func Nearest(word string, known []string) string {
	word = strings.ReplaceAll(strings.ToLower(narrow(word)), "_", "-")
	best, least := "", max(utf8.RuneCountInString(word)/3, 1)+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// list joins words as a sentence does: "a, b or c".
func list(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + " " + last + " " + words[n]
}

package schema

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What may hold a password is found in the lines and not in the tree: a file
// that is no YAML has none, and what YAML makes of a slip is hard to foresee.
var (
	discoverKey = regexp.MustCompile(`(?i)\b(?:disco\w*|hb46pp|credentials)["']?\s*[:=：]`)
	secretKey   = regexp.MustCompile(`(?i)\b(?:pas|psw|pw|secret)\w*(?:["']?\s*[:=：]|\s)`)
	anyKey      = regexp.MustCompile(`^[\s{,-]*["']?[A-Za-z][\w-]*["']?\s*:`)
)

// masked hides what may be a password in lines that may be shown: all values
// of the discover mapping, and what follows a key that looks like a password's
// in its line and in those below that continue it. They stay as wide.
func masked(lines []string) []string {
	shown := slices.Clone(lines)
	region, secret := -1, -1 // the indentation of the lines that began one; -1 is outside
	hungry := false          // the secret's value is still to come
	for i, line := range lines {
		text := strings.TrimSpace(line)
		if text == "" {
			continue
		}
		depth := utf8.RuneCountInString(line) - utf8.RuneCountInString(strings.TrimLeftFunc(line, unicode.IsSpace))
		if !strings.HasPrefix(text, "#") {
			if depth <= region {
				region = -1
			}
			if depth <= secret && !hungry {
				secret = -1
			}
		}
		switch found, key := discoverKey.FindStringIndex(line), secretKey.FindStringIndex(line); {
		case secret >= 0:
			shown[i] = stars(line, 0)
			hungry = hungry && strings.HasPrefix(text, "#")
		case key != nil && (found == nil || key[0] < found[0]):
			shown[i] = stars(line, key[1])
		case region >= 0:
			shown[i] = hideValue(line)
		case found != nil:
			shown[i] = stars(line, found[1])
		}
		if secret < 0 {
			if all := secretKey.FindAllStringIndex(line, -1); all != nil {
				secret, hungry = depth, bare(line[all[len(all)-1][1]:])
			}
		}
		if region < 0 && discoverKey.MatchString(line) {
			region = depth
		}
	}
	return shown
}

// bare says whether the text after a key leaves its value to the lines below.
func bare(text string) bool {
	for _, word := range strings.Fields(text) {
		if strings.HasPrefix(word, "#") {
			break
		}
		if !strings.ContainsAny(word[:1], "&!|>") {
			return false
		}
	}
	return true
}

// ofDiscover says whether a path is that of the discover mapping or in it.
func ofDiscover(path string) bool {
	return path == "mape.discover" || strings.HasPrefix(path, "mape.discover.")
}

// keyOnly cuts off what is a value to whoever wrote it, and part of the key to YAML:
// that wants a blank after the colon.
func keyOnly(path, name string) string {
	if !ofDiscover(path) && !secretKey.MatchString(name) {
		return name
	}
	if end := strings.IndexFunc(name, func(r rune) bool {
		return r != '-' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}); end >= 0 {
		return name[:end] + "…"
	}
	return name
}

// hideValue hides what follows the key of a line, or all of a line that has none.
func hideValue(line string) string {
	if key := anyKey.FindStringIndex(line); key != nil {
		return stars(line, key[1])
	}
	return stars(line, 0)
}

// stars hides a line from an offset on, except for blanks at its start there and
// the brackets of a mapping.
func stars(line string, from int) string {
	value := strings.TrimLeftFunc(line[from:], unicode.IsSpace)
	from = len(line) - len(value)
	if strings.Trim(value, "{}[], \t") == "" {
		return line
	}
	return line[:from] + strings.Repeat("*", utf8.RuneCountInString(value))
}

package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// maxSize bounds what a bad file can cost. A section with every rule of every
// provider has 60 KiB.
const maxSize = 1 << 20

// decodeText returns the text of a file. If it is not text, bad describes the
// first fault at a spot: yaml.v3's own message has no position.
func decodeText(data []byte) (text string, at spot, bad string) {
	switch {
	case len(data) > maxSize:
		return "", spot{1, 0}, fmt.Sprintf("the file must have at most %d bytes, not %d", maxSize, len(data))
	case len(data) >= 2 && (data[0] == 0xff && data[1] == 0xfe || data[0] == 0xfe && data[1] == 0xff):
		return "", spot{1, 0}, "the file is UTF-16; save it as UTF-8"
	}
	text = strings.TrimPrefix(string(data), "\ufeff")
	for i, r := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); r == utf8.RuneError && size == 1 {
			return text, spotAt(text, i), fmt.Sprintf("byte %#x is not UTF-8; save the file as UTF-8", text[i])
		}
		if unicode.IsControl(r) && !strings.ContainsRune("\t\n\r\u0085", r) || r == '\ufffe' || r == '\uffff' || r == '\ufeff' {
			return text, spotAt(text, i), fmt.Sprintf("the character %U is not allowed in YAML; remove it", r)
		}
	}
	return text, spot{}, ""
}

// spotAt turns an offset into a position.
func spotAt(text string, offset int) spot {
	lines := splitLines(text[:offset] + "^")
	return spot{len(lines), utf8.RuneCountInString(lines[len(lines)-1])}
}

// documents parses a file, which may hold several documents. It returns nil
// when the file is not YAML.
func (p *parser) documents(text string) []*yaml.Node {
	docs, err := parseYAML(text)
	if err != nil {
		p.source.secret = secretText.MatchString(text)
		at, message := p.syntaxError(text, err)
		p.report(at, "", "%s", message)
		return nil
	}
	return docs
}

var (
	yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)
	// byParser matches the messages of yaml.v3's parser, whose lines are counted
	// from 0. Those of its scanner are counted from 1.
	byParser      = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or '[\]}]'|node content|<document start>)`)
	openTemplate  = regexp.MustCompile(`\{[%{]`)
	unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
)

// syntaxError returns yaml.v3's message and line, or the common mistake that is
// near that line. yaml.v3 leaves out the number of the first line, so it parses
// the text again with a line before.
func (p *parser) syntaxError(text string, err error) (spot, string) {
	if _, again := parseYAML("#\n" + text); again != nil {
		err = again
	}
	match := yamlLine.FindStringSubmatch(err.Error())
	message := strings.TrimPrefix(err.Error(), match[0])
	line, _ := strconv.Atoi(match[1])
	anchor := unknownAnchor.FindStringSubmatch(message)
	switch {
	case anchor != nil:
		line = 1 + slices.IndexFunc(p.source.lines, func(s string) bool { return strings.Contains(s, "*"+anchor[1]) })
	case byParser.MatchString(message):
		message += " in what begins on this line"
	default:
		line--
	}
	line = min(max(line, 1), len(p.source.lines))
	for i := max(line-1, 1); i <= min(line+1, len(p.source.lines)); i++ {
		text := p.source.lines[i-1]
		if tab := strings.IndexByte(text, '\t'); tab >= 0 && strings.Trim(text[:tab], " -?") == "" {
			return spot{i, 1 + tab}, "a tab; YAML must be indented with spaces"
		}
		if template := openTemplate.FindStringIndex(text); template != nil {
			return spot{i, 1 + utf8.RuneCountInString(text[:template[0]])}, unfilled
		}
	}
	if anchor != nil && p.source.secret {
		message = "unknown anchor" // as YAML reads "password: *word"
	}
	if wide := fullWidth(p.source.lines, line); wide != "" {
		message += "; " + wide
	}
	return spot{line, 0}, "not YAML: " + message
}

package schema

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// documents parses a file, which may hold several documents. It returns nil
// when the file is not YAML.
func (p *parser) documents(text string) []*yaml.Node {
	docs, err := parseYAML(strings.NewReader(text))
	if err != nil {
		bad := newSyntaxError(text, err).explain(p.source.lines)
		p.report(bad.at, "", "%s", bad.message)
		return nil
	}
	return docs
}

func parseYAML(r io.Reader) ([]*yaml.Node, error) {
	docs := []*yaml.Node{}
	d := yaml.NewDecoder(r)
	for {
		var doc yaml.Node
		switch err := d.Decode(&doc); err {
		case nil:
			docs = append(docs, doc.Content...)
		case io.EOF:
			return docs, nil
		default:
			return nil, err
		}
	}
}

// A syntaxError is an error of yaml.v3 with the positions that it leaves out.
type syntaxError struct {
	message string
	start   int  // the line where what it was reading starts; 0 is unknown
	cursor  spot // where it stopped
}

// A creeper gives a parser one byte at a time, and so knows how far it came.
type creeper struct {
	text string
	read int
}

func (c *creeper) Read(b []byte) (int, error) {
	if c.read == len(c.text) {
		return 0, io.EOF
	}
	c.read++
	return copy(b, c.text[c.read-1:c.read]), nil
}

const lookahead = 4 // characters that the scanner of yaml.v3 holds beyond its cursor

var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// newSyntaxError parses a bad text again to learn where it is bad. The message
// of yaml.v3 has no column, and its line is that of the context, too small by
// one if the parser reports it and not the scanner, and left out if it is the
// first. A line before the text and characters to look at behind it make all
// of that regular.
func newSyntaxError(text string, err error) syntaxError {
	c := &creeper{text: "#\n" + text + strings.Repeat("\n", lookahead)}
	if _, again := parseYAML(c); again != nil {
		err = again
	}
	for range lookahead {
		_, size := utf8.DecodeLastRuneInString(c.text[:c.read])
		c.read -= size
	}
	e := syntaxError{cursor: spotAt(c.text, c.read)}
	e.cursor.line--
	match := lineOf.FindStringSubmatch(err.Error())
	e.message = strings.TrimPrefix(err.Error(), match[0])
	if n, err := strconv.Atoi(match[1]); err == nil {
		e.start = n
		if !parserMessage.MatchString(e.message) {
			e.start--
		}
	}
	return e
}

var parserMessage = regexp.MustCompile(`^did not find expected (key|'-' indicator|',' or '[\]}]'|node content|<document start>)`)

package schema

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// A value is the type of a key.
type value interface {
	// want says what to write, with an example.
	want() string
	// read stores what a node says, or reports what is wrong with it.
	read(p *parser, path string, n *yaml.Node)
}

// A word is one of a few.
type word struct {
	dst  *string
	enum []string
}

func (v word) want() string { return list(v.enum, "or") }

func (v word) read(p *parser, path string, n *yaml.Node) {
	s, ok := p.text(path, n, v.want())
	if !ok {
		return
	}
	if slices.Contains(v.enum, s) {
		*v.dst = s
		return
	}
	plain := strings.ToLower(narrow(s))
	if other := otherProviders[plain]; other != "" && path == "mape.provider" {
		p.report(at(n), path, "%s %s", quote(s), other)
		return
	}
	guess := foreignWords[plain]
	if !slices.Contains(v.enum, guess) {
		guess = Nearest(s, v.enum)
	}
	if guess != "" {
		p.report(at(n), path, "%s is not known; did you mean %q?", quote(s), guess)
		return
	}
	p.report(at(n), path, "%s is not known; write %s", quote(s), v.want())
}

// text returns the text of a scalar that is one.
func (p *parser) text(path string, n *yaml.Node, want string) (string, bool) {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		p.wrongType(path, n, want)
		return "", false
	}
	return n.Value, true
}

// A number is whole and has bounds.
type number struct {
	set      func(int)
	min, max int
	example  string
}

func (v number) want() string { return "a whole number such as " + v.example }

// A leading zero is octal to YAML 1.1 and decimal to YAML 1.2.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

func (v number) read(p *parser, path string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		p.wrongType(path, n, v.want())
		return
	}
	i, ok := integer(n.Value)
	switch tag := n.ShortTag(); {
	case tag == "!!str" && ok && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0:
		p.report(at(n), path, "is the text %s; write %s without quotes", quote(n.Value), n.Value)
	case tag == "!!str":
		if i, ok := integer(narrow(n.Value)); ok {
			p.report(at(n), path, "is the text %s; write %d in ASCII digits", quote(n.Value), i)
			return
		}
		p.wrongType(path, n, v.want())
	case leadingZero.MatchString(n.Value):
		p.report(at(n), path, "%s has a leading zero, which some programs take for octal; write %s", clip(n.Value), decimalOrOctal(n.Value))
	case tag != "!!int" || !ok:
		p.wrongType(path, n, v.want())
	case i < v.min:
		p.report(at(n), path, "%s is too small; it is from %d to %d", clip(n.Value), v.min, v.max)
	case i > v.max:
		p.report(at(n), path, "%s is too large; it is from %d to %d", clip(n.Value), v.min, v.max)
	default:
		v.set(i)
	}
}

// integer reads a number as YAML writes them: decimal, 0x34, 0o64, 0b110100,
// 1_460. What is out of every bound stays so.
func integer(s string) (int, bool) {
	s = strings.ReplaceAll(s, "_", "")
	i, err := strconv.ParseInt(s, 0, 64)
	if err == nil {
		return int(i), true
	}
	if _, err := strconv.ParseUint(s, 0, 64); err == nil {
		return math.MaxInt, true
	}
	return 0, false
}

func decimalOrOctal(s string) string {
	s = strings.ReplaceAll(s, "_", "")
	decimal := strings.TrimLeft(s, "+-0")
	if decimal == "" {
		return "0"
	}
	if octal, ok := integer(s); ok && fmt.Sprint(octal) != decimal {
		return fmt.Sprintf("%s or, if octal is meant, %d", decimal, octal)
	}
	return decimal
}

// rules is a list of mappings.
type rules struct{ c *Config }

func (v rules) want() string {
	return "a list such as [{ipv6: \"2001:db8::/40\", ipv4: 192.0.2.0/24, ea-bits: 16}]"
}

func (v rules) read(p *parser, path string, n *yaml.Node) {
	if n.Kind == yaml.SequenceNode && len(n.Content) == 0 {
		p.report(at(n), path, "is an empty list; write %s", v.want())
		return
	}
	p.mappings(path, n, v.want(), func(path string, item *yaml.Node) {
		r := Rule{PSIDOffset: defaultPSIDOffset}
		p.mapping(path, item, r.keys())
		v.c.Rules = append(v.c.Rules, r)
	})
}

// softwire is a mapping.
type softwire struct{ c *Config }

func (v softwire) want() string {
	return "keys and values such as {ce: \"2001:db8::1\", br: \"2001:db8:ffff::1\", ipv4: 192.0.2.18}"
}

func (v softwire) read(p *parser, path string, n *yaml.Node) {
	v.c.Softwire = new(Softwire)
	p.mapping(path, n, v.c.Softwire.keys())
}

package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// A value is the type of a key.
type value interface {
	kind() Kind
	// read stores what a node has, or reports that it is not what is wanted.
	read(p *parser, path string, n *yaml.Node, want string)
}

// A Kind describes a type of value.
type Kind struct {
	Want              string         // what must be written, as errors have it: "an IPv6 address"
	English, Japanese string         // for the tables of the documentation
	Schema            map[string]any // for editors, as JSON Schema
}

// errMalformed is the reason of a text that is simply not what it must be.
var errMalformed = errors.New("malformed")

// scalar is a value that is one text. The error of parse is a reason to print
// beside what must be written.
type scalar[T any] struct {
	Kind
	dst     *T
	parse   func(string) (T, error)
	numbers bool // whole numbers are as good as text
}

func (v scalar[T]) kind() Kind { return v.Kind }

func (v scalar[T]) read(p *parser, path string, n *yaml.Node, want string) {
	text, ok := n.Value, isText(n)
	if v.numbers && !ok && n.Kind == yaml.ScalarNode {
		if ok = leadingZero.MatchString(text); !ok && n.ShortTag() == "!!int" {
			var i int
			i, ok = integer(text)
			text = strconv.Itoa(i)
		}
	}
	if !ok || text != strings.TrimSpace(text) {
		p.mustBe(path, n, want, "")
		return
	}
	switch got, err := v.parse(text); err {
	case nil:
		*v.dst = got
	case errMalformed:
		p.mustBe(path, n, want, "")
	default:
		p.mustBe(path, n, want, err.Error())
	}
}

// oneOrMore is a scalar or a list of them.
type oneOrMore[T any] struct {
	Kind
	dst      *[]T
	one      scalar[T]
	min, max int
}

func (v oneOrMore[T]) kind() Kind {
	many := map[string]any{"type": "array", "items": v.one.Schema, "uniqueItems": true, "minItems": v.min, "maxItems": v.max}
	v.Schema = map[string]any{"anyOf": []any{v.one.Schema, many}}
	return v.Kind
}

func (v oneOrMore[T]) read(p *parser, path string, n *yaml.Node, want string) {
	*v.dst = []T{}
	one := func(path string, n *yaml.Node, want string) {
		var got T
		v.one.dst = &got
		v.one.read(p, path, n, want)
		*v.dst = append(*v.dst, got)
	}
	switch {
	case n.Kind == yaml.ScalarNode:
		one(path, n, want)
	case n.Kind != yaml.SequenceNode || len(n.Content) < v.min:
		p.mustBe(path, n, want, "")
	case len(n.Content) > v.max:
		p.report(p.value(path), path, "must have at most %d entries, not %d", v.max, len(n.Content))
	default:
		p.items(path, n, func(path string, item *yaml.Node) { one(path, item, v.one.Want) })
	}
}

// word is one of a few.
func word(dst *string, enum ...string) value {
	code := "`" + strings.Join(enum, "`, `") + "`"
	kind := Kind{list(enum, "or"), code, strings.ReplaceAll(code, ", ", "、"), map[string]any{"enum": enum}}
	return scalar[string]{Kind: kind, dst: dst, parse: func(s string) (string, error) {
		if slices.Contains(enum, s) {
			return s, nil
		}
		if other := otherProviders[strings.ToLower(fold(s))]; other != "" {
			return "", errors.New(other)
		}
		if near := Nearest(s, enum); near != "" {
			return "", fmt.Errorf("did you mean %q?", near)
		}
		return "", errMalformed
	}}
}

// form is a text of a form that a regular expression has.
func form(dst *string, want, english, japanese, pattern string) value {
	kind := Kind{want, english, japanese, map[string]any{"type": "string", "pattern": pattern}}
	return scalar[string]{Kind: kind, dst: dst, parse: func(s string) (string, error) {
		if !regexp.MustCompile(pattern).MatchString(s) {
			return "", errMalformed
		}
		return s, nil
	}}
}

// number is whole and has bounds.
type number struct {
	set      func(int)
	min, max int
}

func (v number) kind() Kind {
	bounds := fmt.Sprintf("%d–%d", v.min, v.max)
	return Kind{fmt.Sprintf("a whole number from %d to %d", v.min, v.max), bounds, bounds,
		map[string]any{"type": "integer", "minimum": v.min, "maximum": v.max}}
}

// A leading zero is octal to YAML 1.1 and decimal to YAML 1.2.
var leadingZero = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

func (v number) read(p *parser, path string, n *yaml.Node, want string) {
	i, ok := integer(n.Value)
	switch {
	case isText(n) && ok && n.Style != 0:
		p.mustBe(path, n, want, "remove the quotes")
	case leadingZero.MatchString(n.Value):
		p.mustBe(path, n, want, "a leading zero is octal to some programs; remove it")
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || !ok || i < v.min || i > v.max:
		p.mustBe(path, n, want, "")
	default:
		v.set(i)
	}
}

// integer reads a number as YAML writes them: decimal, 0x34, 0o64, 0b110100.
// 1_460 is a number to YAML 1.1 only. One that is out of range is the nearest
// that is not.
func integer(s string) (int, bool) {
	i, err := strconv.ParseInt(s, 0, 64)
	return int(i), (err == nil || errors.Is(err, strconv.ErrRange)) && !strings.Contains(s, "_")
}

// duration is a time in whole seconds, as the kernel counts them here. The
// minimum may be an RFC's.
func duration(dst *time.Duration, min, max, rfc string) value {
	least, _ := parseDuration(min)
	most, _ := parseDuration(max)
	bounds := min + "–" + max
	if rfc != "" {
		min += " (" + rfc + ")"
	}
	kind := Kind{"a time from " + min + " to " + max, bounds, bounds, map[string]any{"$ref": "#/$defs/time"}}
	return scalar[time.Duration]{Kind: kind, dst: dst, parse: func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		switch {
		case err != nil || d < least || d > most:
			return 0, errMalformed
		case d%time.Second != 0:
			return 0, errors.New("a fraction of a second")
		}
		return d, nil
	}}
}

var days = regexp.MustCompile(`^([0-9]{1,9})d(.*)$`)

// parseDuration reads what Go does, after a number of days.
func parseDuration(s string) (time.Duration, error) {
	if m := days.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[1])
		s = fmt.Sprintf("%dh%s", 24*min(n, 10000), m[2]) // what is too long stays so
	}
	return time.ParseDuration(s)
}

// mapping has keys of its own.
type mapping struct {
	table string // their name in [Tables]
	keys  func() []Key
}

func (v mapping) kind() Kind {
	return Kind{"a mapping", "mapping", "マッピング", map[string]any{"$ref": "#/$defs/" + v.table}}
}

func (v mapping) read(p *parser, path string, n *yaml.Node, want string) {
	p.mapping(path, n, v.keys(), want)
}

// mappings is a list of mappings.
type mappings struct {
	table    string
	min      int
	readItem func(p *parser, path string, n *yaml.Node, want string)
}

func (v mappings) kind() Kind {
	schema := map[string]any{"type": "array", "items": map[string]any{"$ref": "#/$defs/" + v.table}}
	if v.min > 0 {
		schema["minItems"] = v.min
	}
	return Kind{"a list", "list", "リスト", schema}
}

func (v mappings) read(p *parser, path string, n *yaml.Node, want string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) < v.min {
		p.mustBe(path, n, want, "")
		return
	}
	_, example, _ := strings.Cut(want, "[")
	p.items(path, n, func(path string, item *yaml.Node) {
		v.readItem(p, path, item, "a mapping such as "+strings.TrimSuffix(example, "]"))
	})
}

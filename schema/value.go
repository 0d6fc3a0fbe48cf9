package schema

import (
	"errors"
	"fmt"
	"math"
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

// readText reads a value that is text. The error of parse is a reason to print
// beside what must be written.
func readText[T any](p *parser, path string, n *yaml.Node, want string, dst *T, parse func(string) (T, error)) {
	if !isText(n) {
		p.mustBe(path, n, want, "")
		return
	}
	switch v, err := parse(n.Value); err {
	case nil:
		*dst = v
	case errMalformed:
		p.mustBe(path, n, want, "")
	default:
		p.mustBe(path, n, want, err.Error())
	}
}

// word is one of a few.
type word struct {
	dst  *string
	enum []string
}

func (v word) kind() Kind {
	code := "`" + strings.Join(v.enum, "`, `") + "`"
	return Kind{list(v.enum, "or"), code, strings.ReplaceAll(code, ", ", "、"), map[string]any{"enum": v.enum}}
}

func (v word) read(p *parser, path string, n *yaml.Node, want string) {
	readText(p, path, n, want, v.dst, func(s string) (string, error) {
		if slices.Contains(v.enum, s) {
			return s, nil
		}
		if other := otherProviders[strings.ToLower(fold(s))]; other != "" && path == "mape.provider" {
			return "", errors.New(other)
		}
		if near := Nearest(s, v.enum); near != "" {
			return "", fmt.Errorf("did you mean %q?", near)
		}
		return "", errMalformed
	})
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
	case isText(n) && ok:
		p.mustBe(path, n, want, "remove the quotes")
	case leadingZero.MatchString(n.Value):
		p.mustBe(path, n, want, "a leading zero is octal to some programs; remove it")
	case n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" || !ok || i < v.min || i > v.max:
		p.mustBe(path, n, want, "")
	default:
		v.set(i)
	}
}

// integer reads a number as YAML writes them: decimal, 0x34, 0o64, 0b110100,
// 1_460. One that is out of every bound stays so.
func integer(s string) (int, bool) {
	s = strings.ReplaceAll(s, "_", "")
	i, err := strconv.ParseInt(s, 0, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt, true
	}
	return int(i), err == nil
}

// duration is a time in whole seconds, as the kernel counts them here.
type duration struct {
	dst      *time.Duration
	min, max time.Duration
	demands  string // the RFC that sets the minimum, or ""
}

const (
	day = 24 * time.Hour
	// longest is more than any idle connection deserves. The kernel itself
	// keeps established ones for 5 days.
	longest = 30 * day
)

func (v duration) kind() Kind {
	from := short(v.min)
	if v.demands != "" {
		from += " (" + v.demands + ")"
	}
	bounds := short(v.min) + "–" + short(v.max)
	return Kind{"a time from " + from + " to " + short(v.max), bounds, bounds, map[string]any{"$ref": "#/$defs/time"}}
}

func (v duration) read(p *parser, path string, n *yaml.Node, want string) {
	readText(p, path, n, want, v.dst, func(s string) (time.Duration, error) {
		d, err := parseDuration(s)
		switch {
		case err != nil || d < v.min || d > v.max:
			return 0, errMalformed
		case d%time.Second != 0:
			return 0, errors.New("a fraction of a second")
		}
		return d, nil
	})
}

var days = regexp.MustCompile(`^([0-9]{1,9})d(.*)$`)

// parseDuration reads what Go does, after a number of days.
func parseDuration(s string) (time.Duration, error) {
	if m := days.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		s = fmt.Sprintf("%dh%s", 24*min(n, 10000), m[2]) // what is too long stays so
	}
	return time.ParseDuration(s)
}

// short is how a person writes it: 2h4m, not 2h4m0s.
func short(d time.Duration) string {
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
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
	if n.Kind != yaml.SequenceNode {
		p.mustBe(path, n, want, "")
		return
	}
	if len(n.Content) < v.min {
		p.mustBe(path, n, want, "")
		return
	}
	_, example, _ := strings.Cut(want, "[")
	p.items(path, n, func(path string, item *yaml.Node) {
		v.readItem(p, path, item, "a mapping such as "+strings.TrimSuffix(example, "]"))
	})
}

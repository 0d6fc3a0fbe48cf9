package hb46pp

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// fields are the members of a JSON object by their exact names: encoding/json would take "TTL" for "ttl". err is the
// first error; values that are read after it are invalid.
type fields struct {
	path string // "map_e.rules[3].", to put before a key
	raw  map[string]json.RawMessage
	err  error
}

func object(path string, data []byte) *fields {
	f := &fields{path: path}
	if json.Unmarshal(data, &f.raw) != nil || f.raw == nil {
		f.err = fmt.Errorf("%s: must be a JSON object", strings.TrimSuffix(path, "."))
	}
	return f
}

func (f *fields) fail(key, format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s%s: %w", f.path, key, fmt.Errorf(format, args...))
	}
}

// get returns a member. null counts as absent.
func (f *fields) get(key string) (json.RawMessage, bool) {
	raw, ok := f.raw[key]
	return raw, ok && string(raw) != "null" && f.err == nil
}

func (f *fields) need(key, what string) (json.RawMessage, bool) {
	raw, ok := f.get(key)
	if !ok {
		f.fail(key, "is missing: it must be %s", what)
	}
	return raw, ok
}

// text is a string of at most 256 bytes with its quotes (section 3.4) and without control characters.
func (f *fields) text(key string) string {
	var s string
	raw, ok := f.get(key)
	switch {
	case !ok:
	case json.Unmarshal(raw, &s) != nil:
		f.fail(key, "%s is not a string", quote(string(raw)))
	case len(s)+2 > 256:
		f.fail(key, "has %d bytes with its quotes; at most 256 are allowed", len(s)+2)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		f.fail(key, "%s has an unprintable character", quote(s))
	default:
		return s
	}
	return ""
}

// number is a whole number from least to most.
func (f *fields) number(key string, raw json.RawMessage, least, most int) int {
	n, err := strconv.Atoi(string(raw))
	switch {
	case errors.Is(err, strconv.ErrRange) || err == nil && (n < least || n > most):
		f.fail(key, "%s is outside %d to %d", quoteNumber(raw), least, most)
	case err != nil:
		f.fail(key, "%s is not a whole number", quote(string(raw)))
	}
	return n
}

func quoteNumber(raw json.RawMessage) string {
	if len(raw) > 20 {
		return string(raw[:20]) + "…"
	}
	return string(raw)
}

func (f *fields) needNumber(key string, least, most int) int {
	if raw, ok := f.need(key, fmt.Sprintf("a whole number from %d to %d", least, most)); ok {
		return f.number(key, raw, least, most)
	}
	return 0
}

// optionalNumber is a whole number from 0 to most; 0 if it is absent.
func (f *fields) optionalNumber(key string, most int) int {
	if raw, ok := f.get(key); ok {
		return f.number(key, raw, 0, most)
	}
	return 0
}

func (f *fields) needAddress(key, example string) netip.Addr {
	a, err := netip.ParseAddr(f.needText(key, "an address such as "+example))
	if err != nil {
		f.fail(key, "%s is not an address such as %s", quote(f.text(key)), example)
	}
	return a
}

// check fails for err, unless that is nil.
func (f *fields) check(key string, err error) {
	if err != nil {
		f.fail(key, "%w", err)
	}
}

func (f *fields) needPrefix(key, example string) netip.Prefix {
	p, err := netip.ParsePrefix(f.needText(key, "a prefix such as "+example))
	if err != nil {
		f.fail(key, "%s is not a prefix such as %s", quote(f.text(key)), example)
	}
	return p
}

func (f *fields) needText(key, what string) string {
	if _, ok := f.need(key, what); !ok {
		return ""
	}
	return f.text(key)
}

// list is an array of at most most values.
func (f *fields) list(key string, most int, what string) []json.RawMessage {
	raw, ok := f.need(key, what)
	if !ok {
		return nil
	}
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		f.fail(key, "%s is not a list: it must be %s", quote(string(raw)), what)
	}
	if len(all) > most {
		f.fail(key, "must have at most %d entries, not %d", most, len(all))
		return nil
	}
	return all
}

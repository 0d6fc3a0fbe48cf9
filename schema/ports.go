package schema

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

const (
	maxPort = 0xffff
	// maxRanges is more than a port set has. A bound keeps aliases of a long
	// list from taking memory for each.
	maxRanges = 1024
)

// String is how a section writes it.
func (r PortRange) String() string {
	if r.First == r.Last {
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

func (r PortRange) size() int { return int(r.Last) - int(r.First) + 1 }

// ports is a port, a range of them or a list of both.
type ports struct{ dst *[]PortRange }

func (ports) want() string {
	return "a port such as 5184, a range such as 5184-5187, or a list of them"
}

func (v ports) read(p *parser, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode {
		*v.dst = make([]PortRange, 1)
		portRange{&(*v.dst)[0]}.read(p, path, n)
		return
	}
	if n.Kind != yaml.SequenceNode {
		p.wrongType(path, n, v.want())
		return
	}
	switch n := len(n.Content); {
	case n == 0:
		p.report(p.value(path), path, "is an empty list; write %s", v.want())
		return
	case n > maxRanges:
		p.report(p.value(path), path, "is a list of %d; write ranges such as 5184-5187, or several entries of at most %d", n, maxRanges)
		return
	}
	p.items(path, n, func(path string, item *yaml.Node) {
		var r PortRange
		portRange{&r}.read(p, path, item)
		*v.dst = append(*v.dst, r)
	})
}

// portRange is one port or several in a row. In quotes, as templates write it,
// a port is as good as without: ranges are text in any case.
type portRange struct{ dst *PortRange }

func (portRange) want() string { return "a port such as 5184, or a range such as 5184-5187" }

func (v portRange) read(p *parser, path string, n *yaml.Node) {
	if tag := n.ShortTag(); n.Kind == yaml.ScalarNode && (tag == "!!int" || tag == "!!float") {
		number{func(i int) { *v.dst = PortRange{uint16(i), uint16(i)} }, 1, maxPort, "5184"}.read(p, path, n)
		return
	}
	readText(p, path, n, v.want(), v.dst, func(s string) (PortRange, error) {
		r, err := parseRange(s)
		if hint := portHint(s); err != nil && hint != "" {
			err = fmt.Errorf("%s %s", quote(s), hint)
		}
		return r, err
	})
}

var digitsRange = regexp.MustCompile(`^([0-9]+)(?:-([0-9]+))?$`)

// parseRange reads 5184 or 5184-5187.
func parseRange(s string) (PortRange, error) {
	m := digitsRange.FindStringSubmatch(s)
	if m == nil {
		return PortRange{}, fmt.Errorf("%s is not a port; write a number such as 5184 or a range such as 5184-5187", quote(s))
	}
	first, err := parsePort(m[1])
	last := first
	if m[2] != "" && err == nil {
		last, err = parsePort(m[2])
	}
	if err == nil && last < first {
		err = fmt.Errorf("%s runs backwards; write %s", s, PortRange{last, first})
	}
	if err != nil {
		return PortRange{}, err
	}
	return PortRange{first, last}, nil
}

func parsePort(digits string) (uint16, error) {
	i, err := strconv.Atoi(digits)
	var problem string
	switch {
	case errors.Is(err, strconv.ErrRange) || i > maxPort:
		problem = "is too large; ports are from 1 to 65535"
	case i == 0:
		problem = "is too small; ports are from 1 to 65535"
	case digits[0] == '0':
		problem = fmt.Sprintf("has a leading zero; write %d", i)
	default:
		return uint16(i), nil
	}
	return 0, fmt.Errorf("%s %s", clip(digits), problem)
}

// dashes are what people put between the ends of a range.
var dashes = strings.NewReplacer(" ", "", "–", "-", "—", "-", "−", "-", "~", "-", "〜", "-", "ー", "-", "..", "-")

// portHint says how to write what other programs take for ports.
func portHint(s string) string {
	tidy := dashes.Replace(narrow(s))
	if r, err := parseRange(tidy); err == nil && tidy != s {
		return fmt.Sprintf("is written %s", r)
	}
	if list := portList(tidy); list != "" {
		return "is several; write a list, " + list
	}
	if port, protocol, ok := strings.Cut(tidy, "/"); ok {
		if r, err := parseRange(port); err == nil {
			return fmt.Sprintf("names a protocol, too; write %s, and in the same entry protocol: %s", r, protocolOf(protocol))
		}
	}
	before, after, ok := strings.Cut(tidy, ":")
	from, err := parseRange(before)
	to, err2 := parseRange(after)
	switch {
	case !ok || err != nil || err2 != nil:
		return ""
	case from.size() == 1 && to.size() == 1 && from.First < to.First:
		return fmt.Sprintf(`has a ":"; a range is written %d-%d, and a port to go to belongs in "to", as in 192.168.1.10:%d`, from.First, to.First, to.First)
	}
	return fmt.Sprintf(`has a ":"; write %s, and the port to go to in "to", as in 192.168.1.10:%s`, from, to)
}

func protocolOf(s string) string {
	if s = strings.ToLower(s); s == "tcp" || s == "udp" {
		return s
	}
	return "both"
}

// portList is the list that is meant by a text with commas, or "".
func portList(s string) string {
	parts := strings.Split(strings.ReplaceAll(s, "、", ","), ",")
	if len(parts) < 2 {
		return ""
	}
	for _, part := range parts {
		if _, err := parseRange(part); err != nil {
			return ""
		}
	}
	return clip("[" + strings.Join(parts, ", ") + "]")
}

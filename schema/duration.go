package schema

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

const (
	day = 24 * time.Hour
	// longest is more than any idle connection deserves. The kernel itself
	// keeps established ones for 5 days.
	longest = 30 * day
)

// duration is a time in whole seconds, as the kernel counts them here.
type duration struct {
	dst      *time.Duration
	min, max time.Duration
	demands  string // who sets the minimum, or "": it is only ours
	example  string
}

func (v duration) want() string { return "a time such as " + v.example }

func (v duration) read(p *parser, path string, n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && bareNumber.MatchString(n.Value) {
		d, err := parseDuration(n.Value + "s")
		if err != nil || d < v.min || d > v.max {
			p.report(at(n), path, "is the number %s; write a time with its unit, such as %s", clip(n.Value), v.example)
			return
		}
		p.report(at(n), path, "is the number %s; write it with its unit, %ss", n.Value, n.Value)
		return
	}
	readText(p, path, n, v.want(), v.dst, v.parse)
}

var bareNumber = regexp.MustCompile(`^[1-9][0-9]*$`)

func (v duration) parse(s string) (time.Duration, error) {
	d, err := parseDuration(s)
	if err != nil {
		if meant, err := parseDuration(units.Replace(strings.ToLower(narrow(s)))); err == nil {
			return 0, fmt.Errorf("%s is written %s", quote(s), short(meant))
		}
		return 0, fmt.Errorf("%s is not a time; write one such as %s", quote(s), v.example)
	}
	switch {
	case d < v.min && v.demands != "":
		return 0, fmt.Errorf("%s is too short; %s demands at least %s", clip(s), v.demands, short(v.min))
	case d < v.min:
		return 0, fmt.Errorf("%s is too short; it is from %s to %s", clip(s), short(v.min), short(v.max))
	case d > v.max:
		return 0, fmt.Errorf("%s is too long; it is from %s to %s", clip(s), short(v.min), short(v.max))
	case d%time.Second != 0:
		return 0, fmt.Errorf("%s has a fraction of a second; write whole ones, such as %s", clip(s), short(d.Round(time.Second)))
	}
	return d, nil
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

// units turns how others write them, systemd above all, into Go's.
var units = strings.NewReplacer(" ", "",
	"days", "d", "day", "d", "hours", "h", "hour", "h", "hrs", "h", "hr", "h",
	"minutes", "m", "minute", "m", "mins", "m", "min", "m", "seconds", "s", "second", "s", "secs", "s", "sec", "s",
	"日", "d", "時間", "h", "分", "m", "秒", "s")

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

// conntrack is a mapping.
type conntrack struct{ c *Config }

func (conntrack) want() string { return "keys and values such as {udp: 5m, dns: 10s}" }

func (v conntrack) read(p *parser, path string, n *yaml.Node) {
	p.mapping(path, n, v.c.Conntrack.keys())
}

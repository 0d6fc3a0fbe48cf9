package schema

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParse holds that Parse never panics, that every problem stands within
// the file, and that a Config without problems has its defaults.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("gw.yaml", data)
		if err == nil {
			n := 0
			for _, given := range []bool{c.Provider != "", c.Rules != nil, c.Softwire != nil, c.DSLite != nil, c.IPIP != nil, c.LW4o6 != nil} {
				if given {
					n++
				}
			}
			if c.Tunnel == "" || c.Backend == "" || n != 1 {
				t.Errorf("%+v lacks defaults, or has %d origins", c, n)
			}
			checkForwards(t, c)
			return
		}
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 {
			t.Fatalf("%v is not Problems", err)
		}
		for _, p := range problems {
			checkPlace(t, data, p)
		}
	})
}

func checkPlace(t *testing.T, data []byte, p Problem) {
	lines := splitLines(strings.TrimPrefix(string(data), "\ufeff"))
	if p.Line < 1 || p.Line > len(lines) {
		t.Fatalf("line %d of %d: %v", p.Line, len(lines), p)
	}
	if p.Col < 0 || p.Col > 2+utf8.RuneCountInString(lines[p.Line-1]) {
		t.Fatalf("column %d of %q: %v", p.Col, lines[p.Line-1], p)
	}
	if text := p.Error(); !strings.HasPrefix(text, "gw.yaml:") || len(text) > 4096 {
		t.Fatalf("prints %q", text)
	}
}

// checkForwards holds that what the parser let through needs no second check.
func checkForwards(t *testing.T, c *Config) {
	for _, f := range c.Forwards {
		if f.Protocol == "" || len(f.Ports) == 0 || !f.To.Addr().Is4() {
			t.Errorf("%+v is incomplete", f)
		}
		size := 0
		for _, r := range f.Ports {
			if r.First == 0 || r.Last < r.First {
				t.Errorf("%v is not a range", r)
			}
			size += r.size()
		}
		if f.To.Port() > 0 && int(f.To.Port())+size-1 > maxPort {
			t.Errorf("%+v goes past the last port", f)
		}
	}
	for _, k := range c.Conntrack.keys() {
		if v, ok := k.value.(scalar[time.Duration]); ok {
			if _, err := v.parse(v.dst.String()); err != nil {
				t.Errorf("%s is %v", k.Name, *v.dst)
			}
		}
	}
	if c.Inbound != "drop" && c.Inbound != "accept" {
		t.Errorf("inbound is %q", c.Inbound)
	}
}

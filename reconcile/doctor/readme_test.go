package doctor_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadme: the report that both READMEs show is the one that is printed.
func TestReadme(t *testing.T) {
	p := healthy()
	p.s.Home.Skipped = "ntt.setup is not known on this line (the line names no resolver)"
	p.duplicate()
	text := p.report(t).Text()
	for _, name := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "```text\n"+text+"```\n") {
			t.Errorf("%s does not show\n%s", name, text)
		}
	}
}

// TestReadmeChecks: both READMEs name the checks, in the order in which they are made.
func TestReadmeChecks(t *testing.T) {
	var names []string
	for _, f := range healthy().report(t).Findings {
		names = append(names, "`"+f.Check+"`")
	}
	list := ": " + strings.Join(names, ", ")
	for _, name := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), list+".") && !strings.Contains(string(data), list+"。") {
			t.Errorf("%s does not name the checks%s", name, list)
		}
	}
}

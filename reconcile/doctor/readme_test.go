package doctor_test

import (
	"os"
	"strings"
	"testing"
)

// TestReadme: the report that both READMEs show is printed so. Checks may be left out, with "…" for them: a new one changes
// no README.
func TestReadme(t *testing.T) {
	t.Parallel()
	p := healthy()
	p.duplicate()
	report := p.report(t).Text()
	for _, name := range []string{"README.md", "README.ja.md"} {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		_, shown, _ := strings.Cut(string(data), "mape-netplan doctor`")
		_, shown, _ = strings.Cut(shown, "```text\n")
		shown, _, _ = strings.Cut(shown, "```\n")
		left := report
		for line := range strings.Lines(shown) {
			if _, after, ok := strings.Cut(left, line); ok {
				left = after
			} else if line != "…\n" {
				t.Errorf("%s shows %q, and what is printed is\n%s", name, line, report)
			}
		}
		if left != "" {
			t.Errorf("%s does not show\n%s", name, left)
		}
	}
}

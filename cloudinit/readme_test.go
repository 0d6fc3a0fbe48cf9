package cloudinit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mape-netplan/reconcile/provider"
	"mape-netplan/reconcile/softwire"
	"mape-netplan/schema"
)

var (
	fence = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	link  = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	named = regexp.MustCompile(`(?:examples|cmd)/[a-z0-9./-]+\.[a-z0-9]+`)
	run   = regexp.MustCompile("go test [^\n`#]*")
	tests = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
)

// documents are all that a reader of the repository may open.
var documents = []string{
	"README.md", "README.ja.md", "examples/README.md", "examples/README.ja.md",
	"reconcile/nat/README.md", "reconcile/provider/README.md", ".ci/README.md",
}

// TestReadme holds the documents to what is there: their blocks can be read as
// what they are, their links lead somewhere, and the tests and benchmarks that
// they name exist.
func TestReadme(t *testing.T) {
	functions := functionsOf(t)
	for _, name := range documents {
		t.Run(name, func(t *testing.T) {
			text := document(t, name)
			blocks(t, text)
			for _, m := range link.FindAllStringSubmatch(text, -1) {
				if _, err := os.Stat(filepath.Join("..", filepath.Dir(name), m[1])); err != nil {
					t.Error(err)
				}
			}
			for _, file := range named.FindAllString(text, -1) {
				if _, err := os.Stat(filepath.Join("..", file)); err != nil {
					t.Error(err)
				}
			}
			for _, command := range run.FindAllString(text, -1) {
				exists(t, command, functions)
			}
		})
	}
}

// exists checks that each of the names that a command gives to -run and -bench is one in its directory, or below.
func exists(t *testing.T, command string, functions []function) {
	words := strings.Fields(command)
	at := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "./") })
	if at < 0 {
		t.Fatalf("%s: where?", command)
	}
	dir, below := strings.CutSuffix(strings.TrimPrefix(words[at], "./"), "...")
	dir = strings.TrimSuffix(dir, "/")
	for i, word := range words {
		if word != "-run" && word != "-bench" {
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(words[i+1], "'"), "|") {
			if name != "^$" && !slices.ContainsFunc(functions, func(f function) bool {
				return (f.dir == dir || below && strings.HasPrefix(f.dir, dir)) && strings.Contains(f.name, name)
			}) {
				t.Errorf("%s: no test or benchmark is called %s", command, name)
			}
		}
	}
}

func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func blocks(t *testing.T, text string) {
	for i, block := range fence.FindAllStringSubmatch(text, -1) {
		switch block[1] {
		case "yaml":
			if has[map[string]any]([]byte(block[2]), "mape") {
				isSection(t, fmt.Sprintf("block %d", i), []byte(block[2]))
			} else if err := yaml.Unmarshal([]byte(block[2]), new(any)); err != nil {
				t.Errorf("block %d: %v", i, err)
			}
		case "json":
			if !json.Valid([]byte(block[2])) {
				t.Errorf("block %d is not JSON:\n%s", i, block[2])
			}
		case "sh":
			isScript(t, block[2])
		}
	}
}

// A function is a test or a benchmark.
type function struct{ dir, name string }

func functionsOf(t *testing.T) (all []function) {
	for _, pattern := range []string{"../*/*_test.go", "../*/*/*_test.go", "../*/*/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tests.FindAllStringSubmatch(string(data), -1) {
				all = append(all, function{filepath.Dir(strings.TrimPrefix(file, "../")), m[1]})
			}
		}
	}
	return all
}

// TestReadmeOfNewcomers: both READMEs are short, and show a section, every key
// and the providers as they are in the table of rules.
func TestReadmeOfNewcomers(t *testing.T) {
	for _, name := range []string{"README.md", "README.ja.md"} {
		t.Run(name, func(t *testing.T) {
			text := document(t, name)
			if lines := strings.Count(text, "\n"); lines > 200 {
				t.Errorf("it has %d lines, more than 200", lines)
			}
			if !strings.Contains(text, "```yaml\nmape:") {
				t.Error("no section is shown")
			}
			for _, table := range schema.Tables() {
				for _, key := range table.Keys {
					if !strings.Contains(text, "`"+key.Name+"`") {
						t.Errorf("the key %s is not named", key.Name)
					}
				}
			}
			for _, name := range provider.Names() {
				rules, err := provider.Rules(name)
				if err != nil {
					t.Fatal(err)
				}
				r := rules[0]
				row := fmt.Sprintf("| `%s` | %d | %d |\n", name, len(rules),
					softwire.Ports{PSIDOffset: r.PSIDOffset, PSIDLen: r.EABits - (32 - r.IPv4.Bits())}.Count())
				if !strings.Contains(text, row) {
					t.Errorf("the table of providers has no row that ends with %s", row)
				}
			}
		})
	}
}

// TestReadmeOfExamples: every example is mentioned.
func TestReadmeOfExamples(t *testing.T) {
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"examples/README.md", "examples/README.ja.md"} {
		text := document(t, name)
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), "README.") && !strings.Contains(text, "("+e.Name()+")") {
				t.Errorf("%s does not mention %s", name, e.Name())
			}
		}
	}
}

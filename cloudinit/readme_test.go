package cloudinit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"mape-netplan/schema"
)

var (
	fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)#:]+)\)|examples/[a-z0-9-]+\.[a-z]+`)
)

// TestReadme holds both READMEs to what is there: the sections in them are
// right, every key is in them, and so is every example.
func TestReadme(t *testing.T) {
	for _, name := range []string{"README.md", "README.ja.md"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile("../" + name)
			if err != nil {
				t.Fatal(err)
			}
			readme(t, string(data))
		})
	}
}

func readme(t *testing.T, text string) {
	sections := 0
	for i, block := range fence.FindAllStringSubmatch(text, -1) {
		switch block[1] {
		case "yaml":
			if has[map[string]any]([]byte(block[2]), "mape") {
				sections++
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
	if sections == 0 {
		t.Error("no section is shown")
	}
	for _, table := range schema.Tables() {
		for _, key := range table.Keys {
			if !strings.Contains(text, "`"+key.Name+"`") {
				t.Errorf("the key %s is not described", key.Name)
			}
		}
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		file := m[1]
		if file == "" {
			file = m[0]
		}
		if _, err := os.Stat("../" + file); err != nil {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(text, e.Name()) {
			t.Errorf("the example %s is not mentioned", e.Name())
		}
	}
}

package schema

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the tests print to testdata")

// golden runs every archive of a directory. One holds gw.yaml, or gw.yaml.quoted
// as a Go string where an editor could not keep the bytes, and what is wanted.
func golden(t *testing.T, dir string, print func(*testing.T, []byte) string) {
	files, err := filepath.Glob(filepath.Join("testdata", dir, "*.txtar"))
	if err != nil || len(files) == 0 {
		t.Fatal("no tests", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil || len(archive.Files) != 2 {
				t.Fatal("not an archive of two files", err)
			}
			input, want := archive.Files[0], &archive.Files[1]
			if strings.HasSuffix(input.Name, ".quoted") {
				input.Data = unquote(t, input.Data)
			}
			got := print(t, input.Data)
			if got == string(want.Data) {
				return
			}
			if !*update {
				t.Fatalf("got:\n%s\nwant:\n%s", got, want.Data)
			}
			want.Data = []byte(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func unquote(t *testing.T, quoted []byte) []byte {
	s, err := strconv.Unquote(strings.TrimSpace(string(quoted)))
	if err != nil {
		t.Fatal(err)
	}
	return []byte(s)
}

// TestBad compares the whole of what a user reads about a bad section.
func TestBad(t *testing.T) {
	golden(t, "bad", func(t *testing.T, data []byte) string {
		c, err := Parse("gw.yaml", data)
		var problems Problems
		if c != nil || !errors.As(err, &problems) {
			t.Fatalf("%+v, %v: want problems", c, err)
		}
		if strings.Contains(t.Name(), "secret") && strings.Contains(err.Error(), "hush") {
			t.Errorf("shows the password: %v", err)
		}
		return err.Error() + "\n"
	})
}

// TestGood compares everything that a section says, defaults and warnings
// included.
func TestGood(t *testing.T) {
	golden(t, "good", func(t *testing.T, data []byte) string {
		c, err := Parse("gw.yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		warnings := c.Warnings
		c.Warnings = nil
		text, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		got := string(text) + "\n"
		if warnings != nil {
			got += warnings.Error() + "\n"
		}
		return got
	})
}

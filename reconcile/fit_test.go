package reconcile

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mape-netplan/schema"
)

var update = flag.Bool("update", false, "write what the tests print to testdata")

// hostOf makes a directory that stands for a machine of the files of an archive, which are named from / on. Without a
// mode bit of their own they are as private as netplan wants them.
func hostOf(t testing.TB, archive string) (h *Host, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		writeFile(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	h, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Root.Close() })
	return h, dir
}

func writeFile(t testing.TB, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// factsOf gathers the facts of the files of an archive and of interfaces that are given instead of a kernel's.
func factsOf(t testing.TB, archive string, links []Link) Facts {
	t.Helper()
	h, _ := hostOf(t, archive)
	f, err := Gather(h)
	if err != nil {
		t.Fatal(err)
	}
	if links == nil {
		return f
	}
	f.Live, f.Networkd, f.Links = true, true, links
	files, err := h.netplanFiles()
	if err != nil {
		t.Fatal(err)
	}
	f.Definitions = definitions(files, links)
	if f.Owned, err = h.owned(f); err != nil {
		t.Fatal(err)
	}
	return f
}

// linksOf reads interfaces as JSON.
func linksOf(t testing.TB, text string) (links []Link) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &links); err != nil {
		t.Fatal(err)
	}
	return links
}

// sectionOf reads the value of a mape: key.
func sectionOf(t testing.TB, text string) *schema.Config {
	t.Helper()
	c, err := schema.Parse("gw.yaml", []byte("mape: "+strings.TrimSpace(text)+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// seek is the line as far as it could be found.
func seek(c *schema.Config, f Facts) Line {
	l, _ := Find(c, f)
	return l
}

// resolve fits a section to facts; nil where the line is only held.
func resolve(c *schema.Config, f Facts) (*Gateway, error) {
	aim := Resolve(c, f)
	if aim.Err != nil {
		return nil, aim.Err
	}
	return aim.Gateway, nil
}

// mustResolve fits a section to facts.
func mustResolve(t testing.TB, section string, f Facts) *Gateway {
	t.Helper()
	g, err := resolve(sectionOf(t, section), f)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

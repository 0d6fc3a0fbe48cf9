package hosttest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"mape-netplan/reconcile/host"
)

var Update = flag.Bool("update", false, "write what the tests print to testdata")

// HostOf makes a directory that stands for a machine of the files of an archive, which are named from / on. Without a
// mode bit of their own they are as private as netplan wants them.
func HostOf(t testing.TB, archive string) (h *host.Host, dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, f := range txtar.Parse([]byte(archive)).Files {
		WriteFile(t, filepath.Join(dir, f.Name), string(f.Data))
	}
	h, err := host.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Root.Close() })
	return h, dir
}

func WriteFile(t testing.TB, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

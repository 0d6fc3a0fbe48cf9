package reconcile_test

import (
	"encoding/json"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

var (
	// opens are the calls by which a program reads files.
	opens = regexp.MustCompile(`^((os|unix|syscall|ioutil)\.(Open\w*|ReadFile|ReadDir|DirFS|CopyFS|Creat\w*)|.*\.Root\.(Open\w*|ReadFile|FS))\(`)
	// kernels are those of files that the kernel writes while they are read, of /proc and /sys.
	kernels = regexp.MustCompile(`\((fmt\.Sprintf\()?"/?(proc|sys)/`)
)

// TestReaders: every file of others goes through host.ReadFile or host.ReadNamed, which no FIFO, device or huge file stops.
func TestReaders(t *testing.T) {
	t.Parallel()
	hosttest.NeedTool(t, "go")
	out, err := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,ImportPath", "../cmd/mape-netplan").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for list := json.NewDecoder(strings.NewReader(string(out))); list.More(); {
		var p struct {
			Dir, ImportPath string
			GoFiles         []string
		}
		if err := list.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(p.ImportPath, "mape-netplan/") {
			continue
		}
		for _, name := range p.GoFiles {
			for _, call := range calls(t, filepath.Join(p.Dir, name)) {
				switch {
				case strings.HasPrefix(call, "slices.Sort") && strings.Contains(call, "Func("):
					t.Errorf("%s/%s must use package sort: each type that is sorted so makes the program 20 kB larger: %s", p.ImportPath, name, call)
				case !opens.MatchString(call):
				case p.ImportPath == "mape-netplan/reconcile/host" || kernels.MatchString(call):
					found++
				default:
					t.Errorf("%s/%s opens a file by itself: %s", p.ImportPath, name, call)
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d calls are known as such", found)
	}
}

// calls are the calls in a file, as gofmt writes them.
func calls(t *testing.T, file string) (all []string) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			var b strings.Builder
			if err := format.Node(&b, set, call); err != nil {
				t.Fatal(err)
			}
			all = append(all, b.String())
		}
		return true
	})
	return all
}

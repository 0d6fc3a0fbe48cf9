package reconcile_test

import (
	"bytes"
	"encoding/json"
	"go/doc"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mape-netplan/reconcile/internal/hosttest"
)

// ground are the packages that any other may import: they know no machine, no daemon and no gateway.
const ground = "schema softwire nft nlmsg advice bind"

// rooms has every package, from the top of the house to its ground, and what it may import of the packages below it
// besides the ground. "reconcile/" is left out of the names under it.
var rooms = [][2]string{
	{"cmd/mape-netplan", "*"},
	{"cmd/mape-netplan/internal/lab", "translator"},
	{"internal/gatewaytest", "*"},
	{"reconcile", "gateway line facts discovery resource nat networkd kernel engine host"},
	{"watch", "events gateway line facts discovery firewall engine host"},
	{"events", "engine nat netplan networkd kernel host"},
	{"doctor", "doctor/symptom cloudinit gateway line facts discovery firewall resource sysctld kernel provider"},
	{"doctor/symptom", "cloudinit gateway line facts ports resource engine netplan sysctld kernel host"},
	{"cloudinit", "resource engine host"},
	{"ports", "nat kernel line facts host"},
	{"gateway", "line facts resource firewall nat netplan networkd sysctld discovery kernel engine host"},
	{"line", "facts discovery networkd kernel provider provider/hb46pp provider/s46 provider/offer provider/registration host"},
	{"facts", "netplan networkd sysctld discovery firewall nat kernel host"},
	{"discovery", "engine provider/hb46pp provider/s46 provider/offer kernel host"},
	{"provider/s46/s46test", "internal/hosttest"},
	{"provider/s46", "provider/offer host"},
	{"resource", "translator engine nat networkd netplan sysctld kernel host"},
	{"firewall", "firewall/ruleset kernel nat host"},
	{"firewall/ruleset", ""},
	{"netplan", "kernel host"},
	{"networkd", "kernel host"},
	{"sysctld", "host"},
	{"nat", "kernel"},
	{"translator", ""},
	{"internal/hosttest", "engine host"},
	{"engine", "host"},
	{"kernel", "host"},
	{"host", ""},
	{"provider/hb46pp/hb46pptest", ""},
	{"provider/hb46pp", "provider/offer"},
	{"provider/offer", ""},
	{"provider/registration", ""},
	{"provider", ""},
	{"schema/internal/gen", ""},
	{"schema", ""},
	{"softwire", ""},
	{"nft", ""},
	{"nlmsg", ""},
	{"advice", ""},
	{"bind", ""},
}

// room is a package's name in rooms.
func room(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, "mape-netplan/"), "reconcile/")
}

// TestRooms holds the packages to their table, and each to a package comment that begins with a
// paragraph of one sentence.
func TestRooms(t *testing.T) {
	t.Parallel()
	hosttest.NeedTool(t, "go")
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,Imports", "mape-netplan/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := 0
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); packages++ {
		var p struct {
			ImportPath, Dir string
			Imports         []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		name := room(p.ImportPath)
		at := floor(name)
		if at < 0 {
			t.Errorf("package %s is not in the table", name)
			continue
		}
		may := strings.Fields(rooms[at][1])
		for _, path := range p.Imports {
			of := room(path)
			if of == path { // of the standard library, or another module's
				continue
			}
			if floor(of) < at || rooms[at][1] != "*" && !slices.Contains(may, of) && !slices.Contains(strings.Fields(ground), of) {
				t.Errorf("%s must not import %s", name, of)
			}
		}
		if c := comment(t, p.Dir); c == "" || len(c) > 200 || new(doc.Package).Synopsis(c) != c {
			t.Errorf("package %s needs a comment that begins with a paragraph of one sentence, at most 200 characters: %q", name, c)
		}
	}
	if packages != len(rooms) {
		t.Errorf("there are %d packages, and %d in the table", packages, len(rooms))
	}
}

// floor is a package's row in rooms, -1 if it has none.
func floor(name string) int {
	return slices.IndexFunc(rooms, func(r [2]string) bool { return r[0] == name })
}

// comment is the first paragraph of the package comments in a directory, as one line.
func comment(t *testing.T, dir string) string {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		text += file.Doc.Text()
	}
	first, _, _ := strings.Cut(text, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

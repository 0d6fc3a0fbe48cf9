package resource_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "mape-netplan"

// TestNoKindIsSingledOut: outside of a kind's own file no code asks which kind a resource is, neither by its type nor by
// its name, key or text. What differs between kinds, their traits say.
func TestNoKindIsSingledOut(t *testing.T) {
	files := sources(t)
	kinds := map[string]bool{} // "mape-netplan/reconcile/resource.File"
	for _, f := range files {
		for kind := range f.declared() {
			kinds[kind] = true
		}
	}
	if len(kinds) < 12 || !kinds[module+"/reconcile/resource.Address"] || !kinds[module+"/reconcile/gateway.AnyGuard"] {
		t.Fatalf("the kinds are %v", kinds)
	}
	sites := 0
	for _, f := range files {
		if f.dir == module+"/reconcile/resource" {
			continue
		}
		own := f.declared()
		for _, site := range f.sites(kinds) {
			if sites++; !own[site.kind] {
				t.Errorf("%s: %s", f.set.Position(site.at), site.what)
			}
		}
	}
	t.Logf("%d kinds in %d files, asked for at %d places", len(kinds), len(files), sites)
}

// TestSites holds the test above to what it looks for.
func TestSites(t *testing.T) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, "x.go", `package watch
import r "mape-netplan/reconcile/resource"
func f(x any) {
	_, ok := x.(r.Address)
	switch x := x.(type) { case *r.File, *r.Table: }
	strings.CutPrefix(x.Name(), "table "); strings.HasPrefix(x.Key, "net/"); strings.Contains(x.Text(), "mape0")
	if x.Name() == "table ip mape" { x.(error); strings.CutPrefix(y, "z"); strings.Contains(file.Name, "z") }
}`, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := source{set, tree, module + "/reconcile/watch"}.sites(map[string]bool{
		module + "/reconcile/resource.Address": true, module + "/reconcile/resource.File": true, module + "/reconcile/resource.Table": true,
	})
	if len(found) != 7 {
		t.Errorf("found %v", found)
	}
}

// A source is a file of the program.
type source struct {
	set  *token.FileSet
	tree *ast.File
	dir  string // its package's path
}

func sources(t *testing.T) (all []source) {
	t.Helper()
	const root = "../.."
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "testdata" || d.Name() == "internal" || strings.HasPrefix(d.Name(), ".") && name != root) {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, name, nil, 0)
		below, _ := filepath.Rel(root, filepath.Dir(name))
		all = append(all, source{set, tree, path.Join(module, filepath.ToSlash(below))})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// declared are the kinds of a file: its types with a method Traits.
func (f source) declared() map[string]bool {
	kinds := map[string]bool{}
	for _, d := range f.tree.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && d.Recv != nil && d.Name.Name == "Traits" {
			kinds[f.kind(d.Recv.List[0].Type)] = true
		}
	}
	return kinds
}

// kind names a type with its package; "" is a type without a name.
func (f source) kind(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return f.kind(e.X)
	case *ast.Ident:
		return f.dir + "." + e.Name
	case *ast.SelectorExpr:
		for _, i := range f.tree.Imports {
			p, _ := strconv.Unquote(i.Path.Value)
			if name, ok := e.X.(*ast.Ident); ok && (i.Name != nil && i.Name.Name == name.Name || i.Name == nil && path.Base(p) == name.Name) {
				return p + "." + e.Sel.Name
			}
		}
	}
	return ""
}

// A site is where code asks which kind a resource is.
type site struct {
	at   token.Pos
	what string
	kind string // "" by its words
}

func (f source) sites(kinds map[string]bool) (found []site) {
	typed := func(e ast.Expr) {
		if kind := f.kind(e); kinds[kind] {
			found = append(found, site{e.Pos(), "asks for the kind " + kind, kind})
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeAssertExpr:
			if n.Type != nil {
				typed(n.Type)
			}
		case *ast.TypeSwitchStmt:
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					typed(e)
				}
			}
		case *ast.CallExpr:
			if called, ok := n.Fun.(*ast.SelectorExpr); ok && len(n.Args) > 1 && isNamed(called.X, "strings") && tells(n.Args[0]) {
				found = append(found, site{n.Pos(), "takes the words of a resource apart by strings." + called.Sel.Name, ""})
			}
		case *ast.BinaryExpr:
			// A resource's name has a space in it: "table ip mape".
			if literal, ok := n.Y.(*ast.BasicLit); ok && (n.Op == token.EQL || n.Op == token.NEQ) && tells(n.X) && strings.Contains(literal.Value, " ") {
				found = append(found, site{n.Pos(), "compares the words of a resource", ""})
			}
		}
		return true
	})
	return found
}

func isNamed(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

// tells is true of r.Name(), r.Text() and r.Key.
func tells(e ast.Expr) bool {
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 0 {
		called, ok := call.Fun.(*ast.SelectorExpr)
		return ok && (called.Sel.Name == "Name" || called.Sel.Name == "Text")
	}
	key, ok := e.(*ast.SelectorExpr)
	return ok && key.Sel.Name == "Key"
}

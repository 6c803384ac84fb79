package doccheck_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the module's directory, seen from this package's.
const root = "../.."

// public are the packages that people outside of this module may read about.
var public = []string{
	"adapter", "callback", "gateway",
	"socketio", "socketio/access", "socketio/admin", "socketio/api", "socketio/auth", "socketio/client", "socketio/clientdist", "socketio/contract", "socketio/history", "socketio/hook", "socketio/presence", "socketio/sockettest",
	"socketio/engineio", "socketio/engineio/client", "socketio/engineio/webtransport",
	"socketio/parser", "socketio/parser/msgpack",
}

// conventional are methods whose meaning the interface they implement fixes.
var conventional = []string{"Error", "String", "Unwrap", "Is"}

func TestEveryExportedNameIsDocumentedAndShown(t *testing.T) {
	for _, path := range public {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p, examples := readPackage(t, path)
			if len(p.Doc) < 200 {
				t.Errorf("the package comment does not teach: %q", p.Doc)
			}
			check := func(what, comment string) {
				if strings.TrimSpace(comment) == "" {
					t.Errorf("%s has no doc comment", what)
				}
			}
			shown := namesShown(examples, p.Name)
			returned := returnedBy(p)
			show := func(name string) {
				if !shown[name] && !slices.ContainsFunc(returned[name], func(f string) bool { return shown["."+f] }) {
					t.Errorf("%s.%s occurs in no Example", p.Name, name)
				}
			}
			checkValues(p.Consts, check)
			checkValues(p.Vars, check)
			for _, f := range p.Funcs {
				check(f.Name, f.Doc)
				show(f.Name)
			}
			for _, typ := range p.Types {
				check(typ.Name, typ.Doc)
				show(typ.Name)
				checkValues(typ.Consts, check)
				checkValues(typ.Vars, check)
				for _, f := range typ.Funcs {
					check(f.Name, f.Doc)
					show(f.Name)
				}
				for _, m := range typ.Methods {
					if !slices.Contains(conventional, m.Name) {
						check(typ.Name+"."+m.Name, m.Doc)
					}
				}
			}
		})
	}
}

// readPackage parses a package with its tests. Files for other systems count too.
func readPackage(t *testing.T, path string) (*doc.Package, []*ast.File) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(path), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files: %v", err)
	}
	set := token.NewFileSet()
	var sources, examples []*ast.File
	for _, name := range files {
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case !strings.HasSuffix(name, "_test.go"):
			sources = append(sources, f)
		case len(doc.Examples(f)) > 0:
			examples = append(examples, f)
		}
	}
	p, err := doc.NewFromFiles(set, sources, "example.org/"+path)
	if err != nil {
		t.Fatal(err)
	}
	return p, examples
}

// checkValues accepts a comment on the group, above the name or behind it.
func checkValues(values []*doc.Value, check func(what, comment string)) {
	for _, v := range values {
		for _, spec := range v.Decl.Specs {
			spec := spec.(*ast.ValueSpec)
			for _, name := range spec.Names {
				if name.IsExported() {
					check(name.Name, v.Doc+spec.Doc.Text()+spec.Comment.Text())
				}
			}
		}
	}
}

// returnedBy tells the functions and methods whose results have a type: a reader who sees
// one called sees the type.
func returnedBy(p *doc.Package) map[string][]string {
	by := map[string][]string{}
	note := func(f *doc.Func) {
		if f.Decl.Type.Results == nil {
			return
		}
		ast.Inspect(f.Decl.Type.Results, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				by[id.Name] = append(by[id.Name], f.Name)
			}
			return true
		})
	}
	for _, f := range p.Funcs {
		note(f)
	}
	for _, typ := range p.Types {
		for _, f := range slices.Concat(typ.Funcs, typ.Methods) {
			note(f)
		}
	}
	return by
}

// namesShown collects X of all pkg.X in files that have examples, and of ExampleX
// and ExampleX_method; and .X of everything that is called or read there.
func namesShown(files []*ast.File, pkg string) map[string]bool {
	names := map[string]bool{}
	for _, e := range doc.Examples(files...) {
		name, _, _ := strings.Cut(e.Name, "_")
		names[name] = true
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				names["."+s.Sel.Name] = true
				if x, ok := s.X.(*ast.Ident); ok && x.Name == pkg {
					names[s.Sel.Name] = true
				}
			}
			return true
		})
	}
	return names
}

// TestEveryPublicPackageIsChecked fails when a package is added and forgotten here.
func TestEveryPublicPackageIsChecked(t *testing.T) {
	for _, top := range []string{"adapter", "callback", "gateway", "socketio"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return err
			}
			if d.Name() == "internal" || d.Name() == "testdata" {
				return fs.SkipDir
			}
			sources, err := filepath.Glob(filepath.Join(path, "*.go"))
			rel, _ := filepath.Rel(root, path)
			if len(sources) > 0 && !slices.Contains(public, filepath.ToSlash(rel)) {
				t.Errorf("package %s is not checked", rel)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

package doccheck_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The places that ARCHITECTURE.md sends its readers to are there.
func TestArchitecture_WhereToLook_NamesPlacesThatExist(t *testing.T) {
	_, section, found := strings.Cut(read(t, "ARCHITECTURE.md"), "## Where to look")
	places := regexp.MustCompile("`([A-Za-z.]+)` in ([a-z0-9_/]+\\.go)").FindAllStringSubmatch(section, -1)
	if !found || len(places) < 10 {
		t.Fatalf("%d places", len(places))
	}
	for _, place := range places {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(place[2])), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if !declares(f, place[1]) {
			t.Errorf("%s declares no %s", place[2], place[1])
		}
	}
}

// declares reports whether f has the function, the type, or the method Type.method.
func declares(f *ast.File, name string) bool {
	receiver, method, isMethod := strings.Cut(name, ".")
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			switch {
			case isMethod && d.Recv != nil && d.Name.Name == method && baseType(d.Recv.List[0].Type) == receiver, !isMethod && d.Recv == nil && d.Name.Name == name:
				return true
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if typ, ok := spec.(*ast.TypeSpec); ok && !isMethod && typ.Name.Name == name {
					return true
				}
			}
		}
	}
	return false
}

func baseType(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return baseType(e.X)
	case *ast.IndexExpr:
		return baseType(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

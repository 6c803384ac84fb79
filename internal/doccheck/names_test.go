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

// A name of one bare word (end, take, over, list) leaves the reader to guess what ends,
// is taken or listed. These are the largest shares of such names, in percent, among the
// unexported struct fields and functions of production code.
const (
	maxOneWordFields = 65
	maxOneWordFuncs  = 40
)

// namedPackages are the packages whose names are measured, together and each by itself.
var namedPackages = []string{
	"socketio", "socketio/engineio", "socketio/client", "socketio/engineio/client",
	"adapter", "gateway", "callback", "internal/login",
}

// oneWord matches a name that is a single lower-case word.
var oneWord = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// nameShare counts names, and those of one word.
type nameShare struct{ oneWordCount, totalCount int }

func (s *nameShare) count(name string) {
	if name == "_" || ast.IsExported(name) {
		return
	}
	s.totalCount++
	if oneWord.MatchString(name) {
		s.oneWordCount++
	}
}

func (s *nameShare) add(other nameShare) {
	s.oneWordCount += other.oneWordCount
	s.totalCount += other.totalCount
}

func (s nameShare) percent() float64 {
	return 100 * float64(s.oneWordCount) / float64(max(1, s.totalCount))
}

func TestNames_OneBareWord_IsTheExceptionOfAPackage(t *testing.T) {
	var allFields, allFuncs nameShare
	for _, pkg := range namedPackages {
		fields, funcs := countNames(t, pkg)
		t.Logf("%-18s fields %4d of %4d (%.0f %%), functions %4d of %4d (%.0f %%)", pkg,
			fields.oneWordCount, fields.totalCount, fields.percent(), funcs.oneWordCount, funcs.totalCount, funcs.percent())
		if fields.totalCount == 0 || funcs.totalCount == 0 {
			t.Errorf("%s has no names to measure", pkg)
		}
		checkShare(t, pkg, fields, funcs)
		allFields.add(fields)
		allFuncs.add(funcs)
	}
	checkShare(t, "all packages together", allFields, allFuncs)
}

func checkShare(t *testing.T, where string, fields, funcs nameShare) {
	t.Helper()
	if fields.percent() >= maxOneWordFields {
		t.Errorf("%s: %.0f %% of the struct fields have a name of one word; below %d %% are allowed", where, fields.percent(), maxOneWordFields)
	}
	if funcs.percent() >= maxOneWordFuncs {
		t.Errorf("%s: %.0f %% of the functions have a name of one word; below %d %% are allowed", where, funcs.percent(), maxOneWordFuncs)
	}
}

// countNames counts the fields of all struct types, and all functions and methods, in
// the files of a package that are not tests, whatever system they are for.
func countNames(t *testing.T, pkg string) (fields, funcs nameShare) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.StructType:
				for _, field := range n.Fields.List {
					for _, name := range field.Names {
						fields.count(name.Name)
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name != "init" && n.Name.Name != "main" {
					funcs.count(n.Name.Name)
				}
			}
			return true
		})
	}
	return fields, funcs
}

package doccheck_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// vague are subjects that leave the reader to guess what acts: a comment names it.
var vague = regexp.MustCompile(`(?i)\b(nobody|somebody|everybody|whoever|for ever)\b|(^|[.;:] )Who [a-z]|(?-i:^What [a-z<])`)

// goFiles yields every Go file of the module, parsed with its comments.
func goFiles(t *testing.T, yield func(path string, set *token.FileSet, f *ast.File)) {
	t.Helper()
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		f, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			yield(path, set, f)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The language of the comments: CONTRIBUTING.md, "Comments".
func TestComments_NameTheirSubjects(t *testing.T) {
	goFiles(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "comments_test.go") {
			return
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				text := strings.TrimPrefix(c.Text, "// ")
				if word := vague.FindString(text); word != "" {
					t.Errorf("%s: %q: name the subject", set.Position(c.Pos()), strings.TrimSpace(word))
				}
			}
		}
	})
}

// Every mutex says what it guards, in a comment at its field.
func TestComments_MutexesSayWhatTheyGuard(t *testing.T) {
	count := 0
	goFiles(t, func(path string, set *token.FileSet, f *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			s, ok := n.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				sel, ok := field.Type.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != "Mutex" && sel.Sel.Name != "RWMutex" {
					continue
				}
				count++
				if text := field.Doc.Text() + field.Comment.Text(); text == "" {
					t.Errorf("%s: %s does not say what it guards", set.Position(field.Pos()), names(field))
				}
			}
			return true
		})
	})
	t.Logf("%d mutexes", count)
}

func names(f *ast.Field) string {
	if len(f.Names) == 0 {
		return "an embedded mutex"
	}
	return f.Names[0].Name
}

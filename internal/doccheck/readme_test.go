package doccheck_test

import (
	"bytes"
	"flag"
	"go/doc"
	"go/format"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"posthouse/gateway"
)

var update = flag.Bool("update", false, "write the generated parts of the documents anew")

// read returns a document by its path below root.
func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents lists the pages written for people, by their paths below root.
func documents(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, pattern := range []string{"*.md", "docs/*.md", "examples/*.md", "examples/*/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(pattern)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			rel, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, filepath.ToSlash(rel))
		}
	}
	return list
}

// TestGeneratedPartsAreUpToDate compares the parts between <!-- begin x --> and
// <!-- end x --> with their sources.
func TestGeneratedPartsAreUpToDate(t *testing.T) {
	server := "```go\n" + program(t, "socketio", "") + "```\n"
	for _, part := range []struct{ path, name, want string }{
		{"README.md", "server", server},
		{"README.zh-CN.md", "server", server},
		{"docs/clients.md", "clients", read(t, "internal/interop/sioclients/matrix.md")},
		{"docs/configuration.md", "settings", settings(t)},
	} {
		text := read(t, part.path)
		begin, end := "<!-- begin "+part.name+" -->\n", "<!-- end "+part.name+" -->"
		before, rest, found := strings.Cut(text, begin)
		got, after, ended := strings.Cut(rest, end)
		switch {
		case !found || !ended:
			t.Errorf("%s has no part %q", part.path, part.name)
		case got == part.want:
		case *update:
			text = before + begin + part.want + end + after
			if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(part.path)), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("%s: part %q is out of date: go test ./internal/doccheck -update", part.path, part.name)
		}
	}
}

// TestReadmeIsShort keeps the first page a first page.
func TestReadmeIsShort(t *testing.T) {
	for _, path := range []string{"README.md", "README.zh-CN.md"} {
		if n := strings.Count(read(t, path), "\n"); n > 150 {
			t.Errorf("%s has %d lines; 150 are enough: the rest belongs into docs/", path, n)
		}
	}
}

// program returns an Example of a package as the program that it is.
func program(t *testing.T, path, example string) string {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, filepath.Join(root, path, "example_test.go"), nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range doc.Examples(f) {
		if e.Name != example {
			continue
		}
		if e.Play == nil {
			t.Fatalf("Example %q of %s is no program by itself", example, path)
		}
		var b bytes.Buffer
		if err := format.Node(&b, set, e.Play); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	t.Fatalf("%s has no Example %q", path, example)
	return ""
}

// TestReadmeSnippetsAreExamples finds each ```go block of the page among the
// Examples: as a whole program, or as a body.
func TestReadmeSnippetsAreExamples(t *testing.T) {
	bodies := map[string]bool{program(t, "socketio", ""): true}
	for _, path := range public {
		files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(path), "example*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		set := token.NewFileSet()
		for _, name := range files {
			f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range doc.Examples(f) {
				var b bytes.Buffer
				if err := format.Node(&b, set, &printer.CommentedNode{Node: e.Code, Comments: e.Comments}); err != nil {
					t.Fatal(err)
				}
				body := strings.TrimSuffix(strings.TrimPrefix(b.String(), "{\n"), "}")
				bodies[strings.TrimPrefix(strings.ReplaceAll("\n"+body, "\n\t", "\n"), "\n")] = true
			}
		}
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(read(t, "README.md")+read(t, "README.zh-CN.md"), -1)
	if len(blocks) < 2 {
		t.Error("no Go found")
	}
	for _, m := range blocks {
		if !bodies[m[1]] {
			t.Errorf("no Example is this:\n%s", m[1])
		}
	}
}

// TestOperationsNamesTheMetrics compares the names of metrics with those in the source.
func TestOperationsNamesTheMetrics(t *testing.T) {
	source, err := os.ReadFile(filepath.Join(root, "gateway", "metrics_families.go"))
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:collected|described)\("(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		there[m[1]] = true
	}
	text := read(t, "docs/operations.md")
	for name := range there {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
	for _, name := range regexp.MustCompile(`\b(?:posthouse|socketio)_[a-z]\w+`).FindAllString(text, -1) {
		if !there[name] && !strings.HasSuffix(name, "_") {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// settings is the table that "posthouse config doc --markdown" prints.
func settings(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := gateway.SettingsDoc(&b, true); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestArchitectureTreeIsTheTree holds the picture of the tree against the tree: what it
// names exists, and no folder beside or below those it names is left out.
func TestArchitectureTreeIsTheTree(t *testing.T) {
	_, rest, _ := strings.Cut(read(t, "ARCHITECTURE.md"), "```\n")
	picture, _, _ := strings.Cut(rest, "```")
	named := map[string]bool{}
	parent := ""
	for line := range strings.Lines(picture) {
		name, _, _ := strings.Cut(strings.TrimLeft(line, " "), " ")
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if name == "" || indent > 2 {
			continue // the text of the line above goes on
		}
		if indent == 0 {
			parent = name
		} else {
			name = parent + name
		}
		named[strings.TrimSuffix(name, "/")] = true
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(name))); err != nil {
			t.Error(err)
		}
	}
	for _, path := range public {
		top, _, _ := strings.Cut(path, "/")
		two := strings.Join(strings.SplitN(path, "/", 3)[:min(2, strings.Count(path, "/")+1)], "/")
		if !named[top] || !named[two] {
			t.Errorf("the picture does not show %s", path)
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" && !named[e.Name()] {
			t.Errorf("the picture does not show %s/", e.Name())
		}
	}
}

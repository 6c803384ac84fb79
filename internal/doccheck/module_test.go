package doccheck_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

// TestMakeModule_RenamesEverything renames a copy of the module, builds it and
// looks for what still has the old path.
func TestMakeModule_RenamesEverything(t *testing.T) {
	testenv.Need(t, "bash", "make", "sed")
	dir := t.TempDir()
	copyTree(t, root, dir)
	run := func(dir string, argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	const path = "example.org/you/posthouse"
	run(dir, "make", "module", "MODULE="+path)
	run(dir, "go", "build", "./...")
	run(filepath.Join(dir, "examples", "embed"), "go", "build", "-tags", "nomsgpack", "./...")

	old := regexp.MustCompile(`(^|[^\w./~-])posthouse/(adapter|callback|examples|gateway|internal|socketio)\b`)
	walk(t, dir, func(name string, d fs.DirEntry) {
		switch filepath.Ext(name) {
		case ".go", ".md", ".mod", ".yml":
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if old.MatchString(line) && !strings.Contains(line, "MustCompile") {
					t.Errorf("%s: %s", name, strings.TrimSpace(line))
				}
			}
		}
	})
}

// walk visits the files of a checkout that belong to the project.
func walk(t *testing.T, dir string, visit func(name string, d fs.DirEntry)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".tools", "node_modules", "bin":
				return filepath.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err == nil && d.Type().IsRegular() {
			visit(rel, d)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	walk(t, from, func(name string, d fs.DirEntry) {
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	})
}

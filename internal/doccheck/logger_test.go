package doccheck_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every Logger option has one default: nil means slog.Default(). A package that
// is silent by default hides what its operator should see.
func TestLogger_NilMeansSlogDefaultInEveryPackage(t *testing.T) {
	t.Parallel()
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		b, err := os.ReadFile(path)
		for line := range strings.Lines(string(b)) {
			if code, _, _ := strings.Cut(line, "//"); strings.Contains(code, "slog.DiscardHandler") {
				t.Errorf("%s: %s", path, strings.TrimSpace(line))
			}
		}
		return err
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files, %v", files, err)
	}
}

package doccheck_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestEngineDoc_TheMigrationTableIsCompiled finds every snippet of the right column
// of the table in docs/engine.md in the Example that compiles it.
func TestEngineDoc_TheMigrationTableIsCompiled(t *testing.T) {
	spaces := regexp.MustCompile(`\s+`)
	code := spaces.ReplaceAllString(read(t, "adapter/example_migration_test.go"), " ")
	_, table, ok := strings.Cut(read(t, "docs/engine.md"), "\n| `servers/socket/v3` | here |\n|---|---|\n")
	if !ok {
		t.Fatal("docs/engine.md has no such table")
	}
	found := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 2 {
			break
		}
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			found++
			if !strings.Contains(code, m[1]) {
				t.Errorf("%q is not compiled", m[1])
			}
		}
	}
	if found < 60 {
		t.Errorf("only %d snippets", found)
	}
}

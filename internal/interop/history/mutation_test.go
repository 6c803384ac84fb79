package history_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"posthouse/internal/interop/history"
	"posthouse/internal/testenv"
)

var (
	mutate   = flag.Bool("mutations", false, "run TestMutations, which takes some minutes")
	mutation = flag.String("mutation", "", "only the mutation for this rule")
)

// change breaks the library on purpose.
type change struct {
	rule, setup, why string
	file             string
	before, after    string
}

// readChanges reads testdata/mutations.txt, which is written as the file of the same name of
// internal/interop/chaos.
func readChanges(t *testing.T) (all []change) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mutations.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(text), "\nrow ")[1:] {
		head, body, _ := strings.Cut(part, "\n<<<<\n")
		before, rest, _ := strings.Cut(body, "\n====\n")
		after, _, whole := strings.Cut(rest, "\n>>>>")
		lines := strings.Split(head, "\n")
		if !whole || len(lines) != 3 {
			t.Fatalf("an entry is not whole: %.60q", part)
		}
		rule, setup, _ := strings.Cut(lines[0], " ")
		all = append(all, change{rule: rule, setup: setup, why: strings.TrimPrefix(lines[1], "why "),
			file: strings.TrimPrefix(lines[2], "file "), before: before, after: after})
	}
	return all
}

// mutated returns the changed file's text.
func (c change) mutated(t *testing.T) (original, text string) {
	t.Helper()
	original = filepath.Join(testenv.Root(), filepath.FromSlash(c.file))
	b, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), c.before); n != 1 {
		t.Fatalf("%s holds the text %d times: %q", c.file, n, c.before)
	}
	return original, strings.Replace(string(b), c.before, c.after, 1)
}

// The mutations fit the library and are of rules and clusters that there are.
func TestMutations_Fit(t *testing.T) {
	for _, c := range readChanges(t) {
		c.mutated(t)
		known := slices.ContainsFunc(setups, func(s setup) bool { return s.name == c.setup })
		if !slices.Contains(history.AllRules, c.rule) || !known {
			t.Errorf("%s in %s: there is no such rule or cluster", c.rule, c.setup)
		}
	}
}

// Each rule refuses the history of a library that breaks it.
func TestMutations(t *testing.T) {
	if !*mutate {
		t.Skip("needs -mutations: it builds the library once for each")
	}
	for _, c := range readChanges(t) {
		if *mutation != "" && *mutation != c.rule {
			continue
		}
		t.Run(c.rule, func(t *testing.T) {
			original, text := c.mutated(t)
			dir := t.TempDir()
			changed := filepath.Join(dir, "changed.go")
			if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
			if err != nil {
				t.Fatal(err)
			}
			list := filepath.Join(dir, "overlay.json")
			if err := os.WriteFile(list, overlay, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", list, "-count=1", ".",
				"-run", "^TestHistory$/^"+strings.ReplaceAll(c.setup, " ", "_")+"$", "-seed", "11", "-duration", "6s", "-history", dir)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("PASS although %s", c.why)
			}
			if !strings.Contains(string(out), ": "+c.rule+" at ") {
				t.Fatalf("the rule did not notice that %s:\n%s", c.why, out)
			}
			t.Logf("refused: %s", c.why)
		})
	}
}

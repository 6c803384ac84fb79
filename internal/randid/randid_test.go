package randid_test

import (
	"regexp"
	"testing"

	"posthouse/internal/randid"
)

func TestNames_HaveTheirAlphabetAndLength_AndDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		make func() string
		form string
	}{
		"New":  {randid.New, `^[A-Za-z0-9_-]{20}$`},
		"Text": {func() string { return randid.Text(16) }, `^[A-Za-z0-9_-]{22}$`},
		"Hex":  {func() string { return randid.Hex(8) }, `^[0-9a-f]{16}$`},
	} {
		form, seen := regexp.MustCompile(c.form), map[string]bool{}
		for range 1000 {
			id := c.make()
			if !form.MatchString(id) || seen[id] {
				t.Fatalf("%s: %q", name, id)
			}
			seen[id] = true
		}
	}
	if n := len(randid.New()); n != randid.Size {
		t.Errorf("New has %d characters, Size is %d", n, randid.Size)
	}
}

package scenario

import (
	"strings"
	"testing"
)

// Whatever a gateway calls a token is an error, never a panic. What it may send on the
// connection is the business of the client's own fuzzing.
func FuzzToken(f *testing.F) {
	for _, seed := range []string{"", ".", "..", "e30.e30.x", "e30.eyJqdGkiOiJ0MSJ9.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, token string) { _, _ = keys{}.read(token) })
}

func FuzzReadScript(f *testing.F) {
	f.Add(twoPeople)
	for _, name := range Builtin() {
		data, err := scripts.ReadFile("scripts/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadScript(strings.NewReader(text))
		if err == nil && len(s.Steps) == 0 {
			t.Error("a script without steps")
		}
	})
}

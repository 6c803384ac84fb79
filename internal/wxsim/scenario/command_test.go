package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func TestBuiltinScriptsAreValid(t *testing.T) {
	t.Parallel()
	names := Builtin()
	if len(names) < 10 {
		t.Errorf("only %v", names)
	}
	for _, name := range names {
		if s, err := open(name); err != nil || s.Name == "" {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
}

func TestCommandPlaysFilesAndBuiltins(t *testing.T) {
	t.Parallel()
	g := newToy(t, honest)
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte(twoPeopleScript), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c := Command{Gateway: []string{g.server.URL}, Script: []string{file, "two-people", "lost-ack"}, Output: &out}
	if err := c.Run(t.Context()); err != nil || strings.Count(out.String(), "PASS") != 3 {
		t.Errorf("%v\n%s", err, out.String())
	}
	c.Script = []string{"challenge"} // the toy knows no challenge
	if err := c.Run(t.Context()); !errors.Is(err, ErrFailed) {
		t.Errorf("a gateway that fails: %v", err)
	}
	c.Script = []string{"no-such"}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "two-people") {
		t.Errorf("unknown name: %v", err)
	}
	c.Script, c.Logins, c.Rate = nil, 20, -1
	c.Mix = map[string]float64{"nobody": 1}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("unknown share: %v", err)
	}
	c.Mix = map[string]float64{"pkce": 0, "delays": 0, "reorders": 0}
	c.Account = map[string]string{"default": wxsim.DevAccount().AppID}
	out.Reset()
	if err := c.Run(t.Context()); !strings.Contains(out.String(), "20 logins") {
		t.Errorf("load: %v\n%s", err, out.String())
	}
}

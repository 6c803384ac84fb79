package main_test

import (
	"os/exec"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

// screen is the number of lines of a terminal.
const screen = 24

func TestHelp_FitsAScreenAndHasAnExample(t *testing.T) {
	for _, command := range []string{"", "serve", "wxsim", "wxsim serve", "wxsim scenario", "emit", "bench", "doctor", "version", "completion",
		"config", "config check", "config show", "config doc"} {
		out, err := exec.Command(testenv.Binary(t, "."), append(strings.Fields(command), "--help")...).CombinedOutput()
		text := string(out)
		if err != nil || !strings.HasPrefix(text, "Usage: posthouse "+command) || !strings.Contains(text, "Example: ") && !strings.Contains(text, "Examples: ") {
			t.Errorf("%q: %v\n%s", command, err, text)
		}
		if n := strings.Count(text, "\n"); n > screen {
			t.Errorf("%q has %d lines:\n%s", command, n, text)
		}
	}
}

// The scripts are what a shell takes, and complete commands, their commands and flags.
func TestCompletion_OffersCommandsAndFlags(t *testing.T) {
	script := func(shell string) string {
		out, err := exec.Command(testenv.Binary(t, "."), "completion", shell).Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		return string(out)
	}
	for shell, wants := range map[string][]string{
		"zsh":  {"#compdef posthouse", "'doctor:Examine the way", "'--redis-url:redis"},
		"fish": {"-n '__fish_use_subcommand' -a doctor", "-n '__fish_seen_subcommand_from wxsim; and __fish_seen_subcommand_from scenario' -l logins"},
	} {
		for text := script(shell); len(wants) > 0; wants = wants[1:] {
			if !strings.Contains(text, wants[0]) {
				t.Errorf("%s: no %q", shell, wants[0])
			}
		}
	}
	testenv.Need(t, "bash")
	for line, want := range map[string]string{
		"posthouse do":                   "doctor",
		"posthouse doctor --js":          "--json",
		"posthouse wxsim sc":             "scenario",
		"posthouse wxsim scenario --log": "--logins",
		"posthouse --redis-u":            "--redis-url",
		"posthouse completion z":         "zsh",
	} {
		program := script("bash") + `
COMP_WORDS=(` + line + `); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _posthouse; echo "${COMPREPLY[@]}"`
		out, err := exec.Command("bash", "-c", program).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q: %v %q, want %q", line, err, out, want)
		}
	}
}

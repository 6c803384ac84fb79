package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

var ranTest = regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)`)

// check runs tests that stand for a row; a pattern without tests fails, so that a renamed
// test is noticed.
func (g goTests) check(t testing.TB, figures *[]string) {
	t.Helper()
	began := time.Now()
	args := []string{"test", "-count=1", "-vet=off", "-ldflags=-w", "-v", "-timeout", "5m", "-run", g.run}
	if c, ok := t.(*commandTB); ok && c.firstRed {
		args = append(args, "-failfast")
	}
	cmd := exec.CommandContext(t.Context(), "go", append(args, g.pkg)...)
	cmd.Dir = testenv.Root()
	cmd.Env = os.Environ()
	// The test's process is a child of the go command's: both end with the row.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	passed, skipped, failed := 0, []string{}, ""
	for _, m := range ranTest.FindAllStringSubmatch(string(out), -1) {
		switch m[1] {
		case "PASS":
			passed++
		case "FAIL":
			if failed == "" {
				failed = strings.TrimSpace(m[0]) + " "
			}
		case "SKIP":
			skipped = append(skipped, m[2])
		}
	}
	*figures = append(*figures, fmt.Sprintf("go test -run '%s' %s: %d tests passed in %v", g.run, g.pkg, passed, time.Since(began).Round(100*time.Millisecond)))
	switch {
	case err != nil:
		t.Errorf("%sgo test -run '%s' %s: %v\n%s", failed, g.run, g.pkg, err, tail(string(out), 2500))
		endAtFirstRed(t)
	case len(skipped) > 0 && passed == 0:
		t.Skipf("skipped: %s", strings.Join(skipped, " "))
	case passed == 0:
		t.Errorf("go test -run '%s' %s ran no test", g.run, g.pkg)
	}
}

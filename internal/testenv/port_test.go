package testenv_test

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"posthouse/internal/testenv"
)

// A port that one test process was given is not given to another one, although nothing
// listens there yet.
func TestFreePort_OtherProcess_GetsOthers(t *testing.T) {
	if os.Getenv("POSTHOUSE_TEST_PORTS") != "" {
		for range 200 {
			os.Stdout.WriteString("port " + strconv.Itoa(testenv.FreePort(t)) + "\n")
		}
		return
	}
	mine := map[string]bool{}
	for range 200 {
		mine[strconv.Itoa(testenv.FreePort(t))] = true
	}
	if len(mine) != 200 {
		t.Fatalf("%d different ports", len(mine))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFreePort_OtherProcess_GetsOthers$")
	cmd.Env = append(os.Environ(), "POSTHOUSE_TEST_PORTS=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(out)) {
		if port, ok := strings.CutPrefix(strings.TrimSpace(line), "port "); ok {
			n++
			if mine[port] {
				t.Errorf("both got %s", port)
			}
		}
	}
	if n != 200 {
		t.Errorf("%d ports\n%s", n, out)
	}
}

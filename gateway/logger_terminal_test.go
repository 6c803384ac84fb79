package gateway

import (
	"os"
	"testing"
)

// /dev/null is a character device and no terminal: logs to it are JSON, like all that are
// piped.
func TestNewLogger_NullDevice_IsNoTerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("the null device counts as a terminal")
	}
}

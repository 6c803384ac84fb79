package main

import (
	"runtime/debug"
	"strings"
	"testing"
)

// A program of a repository names its commit with all of its digits.
func TestVersion_CommitIsThatOfTheStamp(t *testing.T) {
	info, err := debug.ParseBuildInfo("go\tgo1.26.0\nbuild\tvcs.revision=0123456789abcdef0123456789abcdef01234567\nbuild\tvcs.modified=true\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := versionLine(info); !strings.Contains(got, "commit 0123456789abcdef0123456789abcdef01234567 (modified),") {
		t.Errorf("%q", got)
	}
}

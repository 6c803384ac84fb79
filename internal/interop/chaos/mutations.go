package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"posthouse/internal/testenv"
)

//go:embed testdata/mutations.txt
var mutationsFile string

// mutation breaks a rule of the project on purpose: in one file one text becomes another.
type mutation struct {
	rows     []string
	why      string // what is broken
	file     string
	old, new string
}

// readMutations reads testdata/mutations.txt: entries of
//
//	row F13 F16
//	why …
//	file gateway/x.go
//	<<<<
//	the text as it is
//	====
//	the text instead
//	>>>>
func readMutations(text string) (all []mutation, err error) {
	for _, part := range strings.Split(text, "\nrow ")[1:] {
		head, body, ok := strings.Cut(part, "\n<<<<\n")
		old, rest, ok2 := strings.Cut(body, "\n====\n")
		replacement, _, ok3 := strings.Cut("\n"+rest, "\n>>>>")
		lines := strings.Split(head, "\n")
		if !ok || !ok2 || !ok3 || len(lines) != 3 {
			return nil, fmt.Errorf("mutations.txt: the entry %.40q is not whole", part)
		}
		all = append(all, mutation{rows: strings.Fields(lines[0]), why: strings.TrimPrefix(lines[1], "why "),
			file: strings.TrimPrefix(lines[2], "file "), old: old, new: strings.TrimPrefix(replacement, "\n")})
	}
	return all, nil
}

// overlay writes the changed file and the file that makes the go command see it instead.
func (m mutation) overlay(dir string) (path string, err error) {
	original := filepath.Join(testenv.Root(), filepath.FromSlash(m.file))
	text, err := os.ReadFile(original)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(text, []byte(m.old)); n != 1 {
		return "", fmt.Errorf("%s holds the text %d times: %.60q", m.file, n, m.old)
	}
	changed := filepath.Join(dir, "changed"+filepath.Ext(m.file))
	if err := os.WriteFile(changed, []byte(strings.Replace(string(text), m.old, m.new, 1)), 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{original: changed}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, data, 0o600)
}

// runMutations breaks the rule of each row and prints which rows noticed.
func runMutations(ctx context.Context, out io.Writer, chosen []row) int {
	all, err := readMutations(mutationsFile)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	byRow := map[string]mutation{}
	for _, m := range all {
		for _, id := range m.rows {
			byRow[id] = m
		}
	}
	red, green, began := 0, []string{}, time.Now()
	for _, r := range chosen {
		if ctx.Err() != nil {
			break
		}
		began := time.Now()
		m := byRow[r.id]
		verdict, noticed := m.try(ctx, r)
		if noticed {
			red++
		} else {
			green = append(green, r.id)
		}
		fmt.Fprintf(out, "%-4s %-60s %s (%.0f s)\n", r.id, m.why, verdict, time.Since(began).Seconds())
	}
	fmt.Fprintf(out, "%d rows turned red in %v", red, time.Since(began).Round(time.Second))
	if len(green) > 0 {
		fmt.Fprintf(out, ", not: %s", strings.Join(green, " "))
	}
	fmt.Fprintln(out)
	if len(green) > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

var failedTest = regexp.MustCompile(`(?m)--- FAIL: (\S+)`)

var notMet = regexp.MustCompile(`(?m)^    why  (.*)$`)

// try runs a row on the broken tree.
func (m mutation) try(ctx context.Context, r row) (verdict string, noticed bool) {
	dir, err := os.MkdirTemp("", "posthouse-mutation-")
	if err != nil {
		return err.Error(), false
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path, err := m.overlay(dir)
	if err != nil {
		return err.Error(), false
	}
	env := append(os.Environ(), "GOFLAGS=-overlay="+path)
	if r.run != nil { // else its tests build what is broken
		build := exec.CommandContext(ctx, "go", "build", "-o", os.DevNull, ".")
		build.Dir, build.Env = testenv.Root(), env
		if text, err := build.CombinedOutput(); err != nil {
			return "does not build: " + tail(string(text), 300), false
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err.Error(), false
	}
	logins := r.short
	if logins == 0 {
		logins = min(r.logins, 40)
	}
	cmd := exec.CommandContext(ctx, self, r.id, "-n", strconv.Itoa(logins))
	cmd.Dir, cmd.Env = testenv.Root(), env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends what it started
	text, err := cmd.CombinedOutput()
	if err == nil {
		if bytes.Contains(text, []byte("    NOT RUN  ")) {
			return "the row did not run: " + tail(string(text), 300), false
		}
		return "GREEN: the row does not notice", false
	}
	if bytes.Contains(text, []byte("[build failed]")) {
		return "does not build: " + tail(string(text), 300), false
	}
	if failed := failedTest.FindSubmatch(text); failed != nil {
		return "red: " + string(failed[1]), true
	}
	if why := notMet.FindSubmatch(text); why != nil {
		return "red: " + strings.ReplaceAll(tail(string(why[1]), 110), "\n", " "), true
	}
	if !bytes.Contains(text, []byte("    FAIL  ")) {
		return "the row did not run: " + tail(string(text), 200), false
	}
	return "red", true
}

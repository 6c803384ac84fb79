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
	"sync"
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
func runMutations(ctx context.Context, out io.Writer, chosen []row, lanes int) int {
	all, err := readMutations(mutationsFile)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	byRow := map[string]*brokenTree{}
	for _, m := range all {
		tree := &brokenTree{mutation: m}
		tree.write = sync.OnceValue(tree.writeOverlay)
		tree.build = sync.OnceValues(func() (string, error) { return tree.compile(ctx) })
		defer tree.remove()
		for _, id := range m.rows {
			byRow[id] = tree
		}
	}
	var ahead sync.WaitGroup // the trees of rows that run alone are built beside the other rows
	ahead.Go(func() {
		for _, r := range chosen {
			if r.alone && r.run != nil && ctx.Err() == nil {
				_, _ = byRow[r.id].build() // its row says what failed
			}
		}
	})
	var mu sync.Mutex // guards out, red and green
	red, green, began := 0, []string{}, time.Now()
	sideBySide(ctx, chosen, lanes, func(r row) {
		if r.alone {
			ahead.Wait()
		}
		began := time.Now()
		tree := byRow[r.id]
		verdict, noticed := tree.try(ctx, r)
		mu.Lock()
		defer mu.Unlock()
		if noticed {
			red++
		} else {
			green = append(green, r.id)
		}
		fmt.Fprintf(out, "%-4s %-60s %s (%.0f s)\n", r.id, tree.why, verdict, time.Since(began).Seconds())
	})
	ahead.Wait()
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

// brokenTree is the module with one mutation, which may serve several rows.
type brokenTree struct {
	mutation

	write func() error           // writes the overlay, once
	build func() (string, error) // compiles the gateway, once, and returns the program's path
	dir   string                 // of the overlay and the program; set by write
}

func (b *brokenTree) writeOverlay() (err error) {
	if b.dir, err = os.MkdirTemp("", "posthouse-mutation-"); err != nil {
		return err
	}
	_, err = b.overlay(b.dir)
	return err
}

func (b *brokenTree) compile(ctx context.Context) (program string, err error) {
	if err = b.write(); err != nil {
		return "", err
	}
	program = filepath.Join(b.dir, "posthouse.bin")
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-w", "-o", program, ".")
	cmd.Dir, cmd.Env = testenv.Root(), b.environment()
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(string(text), 300))
	}
	return program, nil
}

func (b *brokenTree) environment() []string {
	return append(os.Environ(), "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -overlay="+filepath.Join(b.dir, "overlay.json")))
}

func (b *brokenTree) remove() {
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
}

var failedTest = regexp.MustCompile(`(?m)--- FAIL: (\S+)`)

var notMet = regexp.MustCompile(`(?m)^    why  ` + barNotMet + `(.*)$`)

var otherWhy = regexp.MustCompile(`(?m)^    why  (.*)$`)

// try runs a row on the broken tree.
func (b *brokenTree) try(ctx context.Context, r row) (verdict string, noticed bool) {
	program, err := "", b.write()
	if err == nil && r.run != nil { // else the row's tests build what is broken
		program, err = b.build()
	}
	if err != nil {
		return "ERROR: the tree does not build: " + err.Error(), false
	}
	self, err := os.Executable()
	if err != nil {
		return "ERROR: " + err.Error(), false
	}
	logins := r.short
	if logins == 0 {
		logins = min(r.logins, 40)
	}
	cmd := exec.CommandContext(ctx, self, r.id, "-first", "-n", strconv.Itoa(logins))
	cmd.Dir, cmd.Env = testenv.Root(), append(b.environment(), testenv.ProgramVariable+"="+program)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it ends what it started
	text, err := cmd.CombinedOutput()
	return judgeMutated(string(text), err)
}

// judgeMutated reads what a row printed on a broken tree. The row has noticed only when a
// bar, an invariant or a named test is red; a rig or a preparation that failed is an error.
func judgeMutated(text string, err error) (verdict string, noticed bool) {
	switch {
	case err == nil && strings.Contains(text, "    NOT RUN  "):
		return "ERROR: the row did not run: " + tail(text, 300), false
	case err == nil:
		return "GREEN: the row does not notice", false
	case strings.Contains(text, "[build failed]"):
		return "ERROR: the tests do not build: " + tail(text, 300), false
	}
	if failed := failedTest.FindStringSubmatch(text); failed != nil {
		return "red: " + failed[1], true
	}
	if why := notMet.FindStringSubmatch(text); why != nil {
		return "red: " + beginning(why[1], 110), true
	}
	if why := otherWhy.FindStringSubmatch(text); why != nil {
		return "ERROR: no bar was reached: " + tail(why[1], 300), false
	}
	return "ERROR: the row did not run: " + tail(text, 200), false
}

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout))
}

// run is the command; it returns the exit status.
func run(args []string, out io.Writer) int {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	n := flags.Int("n", 0, "logins in flight; 0: what the row asks for")
	seed := flags.Uint64("seed", 1, "seed of everything random")
	list := flags.Bool("list", false, "print the rows and what they hold against")
	firstRed := flags.Bool("first", false, "end a row at the first bar that it does not meet")
	lanes := flags.Int("lanes", 3, "rows that run side by side, but those that need the machine alone")
	short := flags.Bool("short", false, "the short set of `make test`")
	mutate := flags.Bool("mutations", false, "break the rule that each row guards, and see the row turn red")
	soak := flags.Duration("soak", 0, "churn, logins and a random fault every minute, for so long (F37)")
	// Flags may stand before and after the rows.
	var ids []string
	for rest := args; len(rest) > 0; {
		if err := flags.Parse(rest); err != nil {
			return 2
		}
		if rest = flags.Args(); len(rest) > 0 {
			ids, rest = append(ids, rest[0]), rest[1:]
		}
	}
	chosen, err := choose(ids, *short)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer testenv.RemoveBinaries()
	switch {
	case *list:
		for _, r := range chosen {
			fmt.Fprintf(out, "%-4s %s\n     %s\n", r.id, r.name, r.bar)
		}
		return 0
	case *mutate:
		return runMutations(ctx, out, chosen, *lanes)
	case *soak > 0:
		return runSoak(ctx, out, *soak, *seed)
	}
	return runRows(ctx, out, chosen, runOptions{n: *n, seed: *seed, short: *short, firstRed: *firstRed, lanes: *lanes})
}

// choose returns the rows of ids; none: all, or the short set.
func choose(ids []string, short bool) (chosen []row, err error) {
	if len(ids) == 0 {
		for _, r := range rows() {
			if !short || r.short > 0 {
				chosen = append(chosen, r)
			}
		}
		return chosen, nil
	}
	for _, id := range ids {
		r, ok := find(id)
		if !ok {
			return nil, fmt.Errorf("chaos: no row %q; -list shows them", id)
		}
		chosen = append(chosen, r)
	}
	return chosen, nil
}

// runOptions are the flags of a run.
type runOptions struct {
	n               int // logins in flight; 0: what the row asks for
	seed            uint64
	short, firstRed bool
	lanes           int
}

// runRows runs rows and prints a table of what they came to.
func runRows(ctx context.Context, out io.Writer, chosen []row, o runOptions) int {
	var mu sync.Mutex // guards out, counts and red
	counts, red := map[string]int{}, []string{}
	began := time.Now()
	sideBySide(ctx, chosen, o.lanes, func(r row) {
		logins := r.logins
		if o.short && r.short > 0 {
			logins = r.short
		}
		if o.n > 0 && r.logins > 0 {
			logins = o.n
		}
		var text bytes.Buffer
		verdict := runRow(ctx, &text, r, logins, o)
		mu.Lock()
		defer mu.Unlock()
		_, _ = out.Write(text.Bytes())
		counts[verdict]++
		if verdict == "FAIL" {
			red = append(red, r.id)
		}
	})
	fmt.Fprintf(out, "%d rows in %v: %d PASS, %d FAIL, %d NOT RUN\n", len(chosen), time.Since(began).Round(time.Second),
		counts["PASS"], counts["FAIL"], counts["NOT RUN"])
	if len(red) > 0 {
		fmt.Fprintln(out, "FAIL:", strings.Join(red, " "))
	}
	if len(red) > 0 || ctx.Err() != nil {
		return 1
	}
	return 0
}

// runRow runs one row and prints it.
func runRow(ctx context.Context, out io.Writer, r row, logins int, o runOptions) (verdict string) {
	began := time.Now()
	fmt.Fprintf(out, "%s  %s\n", r.id, r.name)
	if r.does != "" {
		fmt.Fprintf(out, "    did  %s\n", r.does)
	}
	t := newCommandTB(ctx, r.id)
	t.firstRed = o.firstRed
	var figures []string
	t.run(func(t testing.TB) { r.play(t, logins, o.seed, &figures) })
	for _, f := range figures {
		fmt.Fprintf(out, "    saw  %s\n", f)
	}
	fmt.Fprintf(out, "    bar  %s\n", r.bar)
	verdict = "PASS"
	switch {
	case t.Failed():
		verdict = "FAIL"
	case t.Skipped():
		verdict = "NOT RUN"
	}
	for _, line := range t.errors {
		fmt.Fprintf(out, "    why  %s\n", tail(line, 3000))
	}
	if len(t.errors) > 0 || t.Skipped() {
		for _, line := range t.log {
			fmt.Fprintf(out, "    log  %s\n", tail(line, 800))
		}
	}
	fmt.Fprintf(out, "    %s  %.1f s, seed %d, %d logins\n\n", verdict, time.Since(began).Seconds(), o.seed, logins)
	return verdict
}

// play runs a row, and hands its figures over even when it ends early.
func (r row) play(t testing.TB, logins int, seed uint64, figures *[]string) {
	for _, tests := range r.tests {
		tests.check(t, figures)
	}
	if r.run == nil {
		return
	}
	s := newStage(t, r, logins, seed)
	defer func() { *figures = append(*figures, s.figures...) }()
	r.run(s)
	s.judge()
}

// tail keeps the end of a long text.
func tail(text string, n int) string {
	if len(text) > n {
		return "…" + text[len(text)-n:]
	}
	return text
}

// beginning returns the first n bytes of a text.
func beginning(text string, n int) string {
	if len(text) > n {
		return strings.ToValidUTF8(text[:n], "") + "…"
	}
	return text
}

// containsAll reports whether text holds all words.
func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

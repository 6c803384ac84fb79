package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
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
		return runMutations(ctx, out, chosen)
	case *soak > 0:
		return runSoak(ctx, out, *soak, *seed)
	}
	return runRows(ctx, out, chosen, *n, *seed, *short)
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

// runRows runs rows one after the other and prints a table of what they came to.
func runRows(ctx context.Context, out io.Writer, chosen []row, n int, seed uint64, short bool) int {
	counts, red := map[string]int{}, []string{}
	began := time.Now()
	for _, r := range chosen {
		if ctx.Err() != nil {
			break
		}
		logins := r.logins
		if short && r.short > 0 {
			logins = r.short
		}
		if n > 0 && r.logins > 0 {
			logins = n
		}
		verdict := runRow(ctx, out, r, logins, seed)
		counts[verdict]++
		if verdict == "FAIL" {
			red = append(red, r.id)
		}
	}
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
func runRow(ctx context.Context, out io.Writer, r row, logins int, seed uint64) (verdict string) {
	began := time.Now()
	fmt.Fprintf(out, "%s  %s\n", r.id, r.name)
	if r.does != "" {
		fmt.Fprintf(out, "    did  %s\n", r.does)
	}
	t := newCommandTB(ctx, r.id)
	var figures []string
	t.run(func(t testing.TB) { r.play(t, logins, seed, &figures) })
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
	fmt.Fprintf(out, "    %s  %.1f s, seed %d, %d logins\n\n", verdict, time.Since(began).Seconds(), seed, logins)
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

// containsAll reports whether text holds all words.
func containsAll(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

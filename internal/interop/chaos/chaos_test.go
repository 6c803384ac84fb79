package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// atOnce is how many rows of the short set run side by side: each has processes of its own.
const atOnce = 4

// The short set: rows of both matrices with few logins. `make chaos` runs all rows.
func TestShortSet(t *testing.T) {
	testenv.Need(t, "redis-server", "nginx")
	t.Setenv("POSTHOUSE_TEST_SLACK", "10") // times are the business of `make chaos`
	chosen, err := choose(nil, true)
	if err != nil || len(chosen) == 0 {
		t.Fatal(err)
	}
	// The row that waits for heartbeats does nothing else: it begins first, and the others run beside it.
	slices.SortStableFunc(chosen, func(a, b row) int {
		switch {
		case a.id == b.id:
			return 0
		case a.id == "F19":
			return -1
		case b.id == "F19":
			return 1
		}
		return 0
	})
	slots := make(chan struct{}, atOnce)
	for _, r := range chosen {
		t.Run(r.id, func(t *testing.T) {
			t.Parallel()
			slots <- struct{}{}
			defer func() { <-slots }()
			var figures []string
			defer func() {
				for _, f := range figures {
					t.Log(f)
				}
			}()
			r.tests = nil // `go test ./...` runs them by themselves
			r.play(t, r.short, 1, &figures)
		})
	}
}

// Every mutation still finds its text, and every row has one.
func TestMutations_FindTheirText(t *testing.T) {
	all, err := readMutations(mutationsFile)
	if err != nil || len(all) == 0 {
		t.Fatal(len(all), err)
	}
	seen := map[string]bool{}
	for _, m := range all {
		if _, err := m.overlay(t.TempDir()); err != nil {
			t.Errorf("%v: %v", m.rows, err)
		}
		for _, id := range m.rows {
			if _, ok := find(id); !ok || seen[id] {
				t.Errorf("%s: a mutation of no row, or its second", id)
			}
			seen[id] = true
		}
	}
	for _, r := range rows() {
		if !seen[r.id] {
			t.Errorf("%s: its rule is not broken in testdata/mutations.txt", r.id)
		}
	}
}

var tableRow = regexp.MustCompile(`(?m)^\| (F?\d+) \|`)

// The rows are those of docs/reliability.md §3 and §4, but the soak.
func TestRows_AreThoseOfTheContract(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testenv.Root(), "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range tableRow.FindAllStringSubmatch(string(text), -1) {
		if m[1] != "F37" {
			want = append(want, m[1])
		}
	}
	var got []string
	for _, r := range rows() {
		got = append(got, r.id)
		if r.name == "" || r.bar == "" || r.guards == "" || r.run == nil && r.tests == nil {
			t.Errorf("row %s is not whole", r.id)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %v\nare not those of docs/reliability.md: %v", got, want)
	}
}

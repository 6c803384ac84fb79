package main

import (
	"os"
	"testing"

	"posthouse/internal/testenv"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testenv.RemoveBinaries()
	os.Exit(code)
}

// atOnce is how many rows of the short set run side by side: each has processes of its own.
const atOnce = 3

// The short set: rows of both matrices with few logins. `make chaos` runs all rows.
func TestShortSet(t *testing.T) {
	testenv.Need(t, "redis-server", "nginx")
	t.Setenv("POSTHOUSE_TEST_SLACK", "4")
	chosen, err := choose(nil, true)
	if err != nil || len(chosen) == 0 {
		t.Fatal(err)
	}
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
			r.play(t, r.short, 1, &figures)
		})
	}
}

//go:build linux && !goroutinereaders

package netpoll

import (
	"math/rand/v2"
	"testing"
)

type place int

func (place) Ready(Events) bool { return false }
func (place) Woken() bool       { return false }

// The table behaves as a map does, and keeps no page without a handler.
func TestTable_IsAMapWhosePagesGo(t *testing.T) {
	var got table
	want := map[int]Handler{}
	for n := range 20_000 {
		i := rand.IntN(2000)
		if n > 15_000 || rand.IntN(2) == 0 {
			got.set(i, nil)
			delete(want, i)
		} else {
			got.set(i, place(i))
			want[i] = place(i)
		}
		if j := rand.IntN(2500); got.at(j) != want[j] || got.count != len(want) {
			t.Fatalf("at(%d) = %v, want %v; %d handlers, want %d", j, got.at(j), want[j], got.count, len(want))
		}
	}
	for i := range 2000 {
		got.set(i, nil)
	}
	for _, p := range got.pages {
		if p != nil {
			t.Error("a page without handlers is kept")
		}
	}
	got.set(1, place(1))
	got.set(1, place(2))
	got.set(700, place(700))
	all := 0
	for range got.all {
		all++
	}
	if all != 2 || got.count != 2 {
		t.Errorf("%d handlers of %d, want 2", all, got.count)
	}
}

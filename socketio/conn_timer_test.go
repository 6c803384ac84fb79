package socketio

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchCallsWhenWhatBeganDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w lazyTimer
		late := make(chan time.Time, 1)
		begin := func() { w.begin(10*time.Second, func() { late <- time.Now() }) }
		start := time.Now()
		begin()
		time.Sleep(9 * time.Second)
		w.end()
		time.Sleep(5 * time.Second) // the timer has come for nothing
		begin()
		time.Sleep(9 * time.Second)
		w.end()
		begin() // while the timer runs for the one before
		if d := (<-late).Sub(start); d != 33*time.Second {
			t.Errorf("called after %v, not 33s", d)
		}
	})
}

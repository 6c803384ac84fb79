package load

import (
	"testing"
	"time"
)

// An ideal server answers every event, in its time and no sooner.
func TestIdealServer_TakesItsTimeForEachEvent(t *testing.T) {
	cores, err := Cores(0)
	if err != nil {
		t.Fatal(err)
	}
	const events, service = 200, 200 * time.Microsecond
	start := time.Now()
	clock := func() time.Duration { return time.Since(start) }
	s := startIdeal(cores[len(cores)-1], service, clock)
	run, err := runOpen(make([]time.Duration, events), clock, s) // all are due at once
	took := clock()
	s.stop()
	if err != nil || run.lost != 0 || len(run.latencies) != events {
		t.Fatalf("%d answers, %d lost, %v", len(run.latencies), run.lost, err)
	}
	if least := events * service; took < least || run.latencies[events-1] < least {
		t.Errorf("%d events of %v took %v", events, service, took)
	}
	if first := run.latencies[0]; first < service {
		t.Errorf("the first answer took %v", first)
	}
}

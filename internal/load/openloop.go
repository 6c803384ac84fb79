package load

import (
	"math/rand/v2"
	"slices"
	"time"
)

// arrivals are the moments at which events are due, counted from the start of a run: a
// Poisson process of that rate. They are fixed before the run, so that a server that stalls
// does not slow its own load down: the events that are due meanwhile are late, and count so.
func arrivals(rate float64, d time.Duration, seed uint64) []time.Duration {
	rnd := rand.New(rand.NewPCG(seed, 1))
	list := make([]time.Duration, 0, int(rate*d.Seconds()*1.05)+16)
	for at := 0.0; ; {
		at += rnd.ExpFloat64() / rate
		due := time.Duration(at * float64(time.Second))
		if due >= d {
			return list
		}
		list = append(list, due)
	}
}

// line is the way to the server of an open-loop run.
type line interface {
	// send lets event i leave.
	send(i int) error
	// receive takes the answers that are there and calls got for each that is measured; it
	// may wait until the moment, which has passed when nothing is to be waited for.
	receive(until time.Duration, got func(i int)) error
	// pending is how many events have no answer yet.
	pending() int
}

// openRun is what an open-loop run measured.
type openRun struct {
	latencies []time.Duration // from when an event was due to its answer, sorted
	late      []time.Duration // from when an event was due to when it left, sorted
	lost      int             // events without an answer at the end
}

// patience is how long a run waits for answers after its last event.
const patience = 5 * time.Second

// sendsInARow bounds how long answers wait while the generator catches up.
const sendsInARow = 8

// runOpen sends an event at each of the moments of due and takes the answers. The clock
// counts from the start of the run. Answers that never come count as patience.
func runOpen(due []time.Duration, clock func() time.Duration, l line) (openRun, error) {
	r := openRun{latencies: make([]time.Duration, 0, len(due)), late: make([]time.Duration, 0, len(due))}
	now := clock()
	got := func(i int) { r.latencies = append(r.latencies, now-due[i]) }
	for next := 0; next < len(due); {
		for n := 0; n < sendsInARow && next < len(due) && due[next] <= clock(); n++ {
			if err := l.send(next); err != nil {
				return r, err
			}
			r.late = append(r.late, clock()-due[next])
			next++
		}
		until := now
		if next < len(due) {
			until = due[next]
		}
		now = clock()
		if err := l.receive(until, func(i int) { now = clock(); got(i) }); err != nil {
			return r, err
		}
	}
	for end := clock() + patience; l.pending() > 0 && clock() < end; {
		if err := l.receive(clock()+time.Millisecond, func(i int) { now = clock(); got(i) }); err != nil {
			return r, err
		}
	}
	r.lost = l.pending()
	for range r.lost {
		r.latencies = append(r.latencies, patience)
	}
	slices.Sort(r.latencies)
	slices.Sort(r.late)
	return r, nil
}

// percentile of a sorted list; 0 for an empty one.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(p/100*float64(len(sorted))), len(sorted)-1)]
}

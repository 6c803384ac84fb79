package load

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

// stallingLine answers each event after a fixed time, but nothing while it stalls. Its clock
// moves only when the generator waits.
type stallingLine struct {
	now        time.Duration
	service    time.Duration
	from, to   time.Duration // of the stall
	deaf       bool
	sentAt     []time.Duration
	unanswered []int
}

func (l *stallingLine) clock() time.Duration { return l.now }

func (l *stallingLine) send(i int) error {
	l.sentAt = append(l.sentAt, l.now)
	l.unanswered = append(l.unanswered, i)
	return nil
}

func (l *stallingLine) pending() int { return len(l.unanswered) }

func (l *stallingLine) receive(until time.Duration, got func(int)) error {
	for {
		for len(l.unanswered) > 0 && !l.deaf {
			i := l.unanswered[0]
			ready := l.sentAt[i] + l.service
			if ready >= l.from && ready < l.to {
				ready = l.to
			}
			if l.now < ready {
				break
			}
			l.unanswered = l.unanswered[1:]
			got(i)
		}
		if l.now >= until {
			return nil
		}
		l.now += 10 * time.Microsecond
	}
}

func TestRunOpen_AStallCountsForAllEventsThatWereDueMeanwhile(t *testing.T) {
	t.Parallel()
	l := &stallingLine{service: 100 * time.Microsecond, from: 400 * time.Millisecond, to: 500 * time.Millisecond}
	var due []time.Duration
	for i := range 1000 {
		due = append(due, time.Duration(i)*time.Millisecond)
	}
	r, err := runOpen(due, l.clock, l)
	if err != nil || len(r.latencies) != 1000 || r.lost != 0 {
		t.Fatalf("%d latencies, %d lost, %v", len(r.latencies), r.lost, err)
	}
	slow := 0
	for _, d := range r.latencies {
		if d > time.Millisecond {
			slow++
		}
	}
	// A generator that waits for each answer would have sent one event in the stall.
	if slow < 98 || slow > 101 {
		t.Errorf("the stall of 100 ms delayed %d events of 1000 a second", slow)
	}
	if p := percentile(r.latencies, 99.9); p < 99*time.Millisecond || p > 101*time.Millisecond {
		t.Errorf("p99.9 is %v", p)
	}
	if p := percentile(r.latencies, 50); p > 200*time.Microsecond {
		t.Errorf("p50 is %v", p)
	}
	if p := percentile(r.late, 99.9); p > 50*time.Microsecond {
		t.Errorf("the generator itself was late: %v", p)
	}
}

func TestRunOpen_WhatHasNoAnswerCountsAsPatience(t *testing.T) {
	t.Parallel()
	l := &stallingLine{deaf: true}
	r, err := runOpen([]time.Duration{0, time.Millisecond}, l.clock, l)
	if err != nil || r.lost != 2 || percentile(r.latencies, 50) != patience {
		t.Errorf("%+v, %v", r, err)
	}
}

type brokenLine struct{ stallingLine }

var errBroken = errors.New("broken")

func (*brokenLine) send(int) error { return errBroken }

func TestRunOpen_EndsWithTheErrorOfTheLine(t *testing.T) {
	t.Parallel()
	l := &brokenLine{}
	if _, err := runOpen([]time.Duration{0}, l.clock, l); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
}

func TestArrivals_AreAPoissonProcessFixedByItsSeed(t *testing.T) {
	t.Parallel()
	a := arrivals(1000, 10*time.Second, 1)
	if !slices.Equal(a, arrivals(1000, 10*time.Second, 1)) || slices.Equal(a[:10], arrivals(1000, 10*time.Second, 2)[:10]) {
		t.Error("the seed does not fix the arrivals")
	}
	if !slices.IsSorted(a) || a[len(a)-1] >= 10*time.Second {
		t.Error("arrivals are out of order or beyond the end")
	}
	if n := float64(len(a)); math.Abs(n-10_000) > 500 {
		t.Errorf("%v arrivals of 10 000", n)
	}
	// The gaps of a Poisson process have their mean as standard deviation.
	var sum, squares float64
	for i := 1; i < len(a); i++ {
		gap := (a[i] - a[i-1]).Seconds()
		sum += gap
		squares += gap * gap
	}
	n := float64(len(a) - 1)
	mean := sum / n
	if sd := math.Sqrt(squares/n - mean*mean); sd < 0.9*mean || sd > 1.1*mean {
		t.Errorf("mean %v, standard deviation %v", mean, sd)
	}
}

func TestPercentile_OfFewAndNone(t *testing.T) {
	t.Parallel()
	if percentile(nil, 99) != 0 {
		t.Error("of none")
	}
	list := []time.Duration{1, 2, 3, 4}
	for p, want := range map[float64]time.Duration{0: 1, 50: 3, 99: 4, 100: 4} {
		if got := percentile(list, p); got != want {
			t.Errorf("p%g is %d, want %d", p, got, want)
		}
	}
}

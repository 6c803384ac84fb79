package wxsim

import (
	"net/http"
	"time"
)

// Stats is how callbacks answered since the start or the last reset, of every
// push and not only of those the log still has.
type Stats struct {
	Pushes     int `json:"pushes"`     // events and messages, copies included
	Deliveries int `json:"deliveries"` // attempts of all pushes
	Repeated   int `json:"repeated"`   // attempts after the first of a push

	// The outcome of the attempts.
	Answered    int `json:"answered"`    // success, empty, or a message
	Refused     int `json:"refused"`     // 403: what a forged push has to get
	Illegal     int `json:"illegal"`     // any other status or body: the person reads that the service is down
	Silent      int `json:"silent"`      // no answer in time
	Unconnected int `json:"unconnected"` // no server listens
	Broke       int `json:"broke"`       // the connection ended before the answer
	Trickled    int `json:"trickled"`    // slow bodies: whatever came of them, the sender was slow

	// Times of everything that was answered, and of silence.
	P50MS int64 `json:"p50Ms"`
	P99MS int64 `json:"p99Ms"`
	MaxMS int64 `json:"maxMs"`
}

// maxTimed is the last bucket: no delivery takes longer than a minute.
const maxTimed = 60_000

// tally is the running Stats and one bucket for each millisecond. Guarded by
// Sim.mu.
type tally struct {
	Stats
	times []uint32 // grows to the slowest answer's millisecond
	timed int
}

// add counts one delivery.
func (y *tally) add(d Delivery, outcome deliveryOutcome, slowSender bool) {
	y.Deliveries++
	if d.Attempt > 1 {
		y.Repeated++
	}
	if slowSender {
		y.Trickled++
		return
	}
	switch outcome {
	case legalAnswer:
		y.Answered++
	case illegalAnswer:
		if d.Status == http.StatusForbidden {
			y.Refused++
		} else {
			y.Illegal++
		}
	case noAnswer:
		y.Silent++
	case noConnection:
		y.Unconnected++
	case brokenConnection:
		y.Broke++
	}
	if outcome == noConnection || outcome == brokenConnection {
		return
	}
	ms := min(max(d.MS, 0), maxTimed)
	for int64(len(y.times)) <= ms {
		y.times = append(y.times, 0)
	}
	y.times[ms]++
	y.timed++
	y.MaxMS = max(y.MaxMS, ms)
}

// deliveryOutcome is a closed set of what a delivery can come to.
type deliveryOutcome int

const (
	legalAnswer deliveryOutcome = iota
	illegalAnswer
	noAnswer
	noConnection
	brokenConnection
)

// quantile is the smallest number of milliseconds that q of the answers did not
// exceed.
func (y *tally) quantile(q float64) int64 {
	rest := int(q * float64(y.timed))
	for ms, n := range y.times {
		if rest -= int(n); rest < 0 {
			return int64(ms)
		}
	}
	return y.MaxMS
}

// Stats tells how callbacks answered so far.
func (s *Sim) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.tally.Stats
	out.P50MS, out.P99MS = s.tally.quantile(.5), s.tally.quantile(.99)
	return out
}

func (s *Sim) getStats(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Stats())
}

func (s *Sim) resetStats(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.tally = tally{}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, s.Stats())
}

// count enters a delivery in the log and in the tally.
func (s *Sim) count(record *Push, d Delivery, outcome deliveryOutcome, slowSender bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record.Deliveries = append(record.Deliveries, d)
	s.tally.add(d, outcome, slowSender)
	s.changed()
}

// outcomeOf tells a failed delivery's kind.
func outcomeOf(err error) deliveryOutcome {
	switch failureWord(err) {
	case timeoutWord:
		return noAnswer
	case refusedWord:
		return noConnection
	default:
		return brokenConnection
	}
}

// elapsed is what a delivery took until now, in whole milliseconds.
func elapsed(since time.Time) int64 { return time.Since(since).Milliseconds() }

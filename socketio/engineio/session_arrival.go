package engineio

import (
	"net/http"
	"strings"
	"time"
)

// arrival is a request of a session that an event loop has found. It keeps its place
// among the session's requests until it has begun: a GET when it waits, a POST when
// it is delivered. Workers start them in any order, and a POST that overtakes the GET
// before it would find no poll to answer. Guarded by Session.mu.
type arrival struct {
	s               *Session
	previousArrival *arrival      // that came before and may not have begun
	hasBegun        bool          // or ended otherwise
	begunSignal     chan struct{} // closed by Begin; nil: no request waits
}

// arrivalPatience is how long a request waits for those before it, which a
// middleware may hold up.
const arrivalPatience = time.Second

// arrivalKey is the key of the arrival in a request's context.
type arrivalKey struct{}

// arrive notes a request that was found, by its raw query. It returns nil for requests
// that have no order, because they name no session. Requests for a WebSocket have none
// either.
func (srv *Server) arrive(query string) *arrival {
	if !strings.Contains(query, "sid") {
		return nil // without looking closer: a handshake
	}
	q := parseQuery(query)
	if !q.hasSID {
		return nil
	}
	s := srv.session(q.sid)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == nil {
		return nil // upgraded meanwhile: the request will be refused
	}
	a := &arrival{s: s, previousArrival: s.poll.lastArrival}
	s.poll.lastArrival = a
	return a
}

// arrivalOf returns the arrival of a request of s; nil when it has none.
func (s *Session) arrivalOf(r *http.Request) *arrival {
	if a, _ := r.Context().Value(arrivalKey{}).(*arrival); a != nil && a.s == s {
		return a
	}
	return nil
}

// await waits until the requests before a have begun.
func (a *arrival) await(r *http.Request) {
	if a == nil {
		return
	}
	var patience *time.Timer
	for ch := a.before(); ch != nil; ch = a.before() {
		if patience == nil {
			patience = time.NewTimer(arrivalPatience)
			defer patience.Stop()
		}
		select {
		case <-ch:
		case <-patience.C:
			return
		case <-r.Context().Done():
			return // the handler will see
		}
	}
}

// before returns what is closed when the next of the requests before a has begun; nil
// when all have.
func (a *arrival) before() <-chan struct{} {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	for a.previousArrival != nil && a.previousArrival.hasBegun {
		a.previousArrival = a.previousArrival.previousArrival
	}
	if a.previousArrival == nil {
		return nil
	}
	if a.previousArrival.begunSignal == nil {
		a.previousArrival.begunSignal = make(chan struct{})
	}
	return a.previousArrival.begunSignal
}

// Begin gives way to the requests behind a. It may be called several times.
func (a *arrival) Begin() {
	if a == nil {
		return
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.beginLocked()
}

func (a *arrival) beginLocked() {
	if a == nil || a.hasBegun {
		return
	}
	a.hasBegun = true
	for a.previousArrival != nil && a.previousArrival.hasBegun {
		a.previousArrival = a.previousArrival.previousArrival
	}
	if a.begunSignal != nil {
		close(a.begunSignal)
	}
	if p := a.s.poll; p != nil && p.lastArrival == a {
		p.lastArrival = a.previousArrival
	}
}

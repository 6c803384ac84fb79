package engineio

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// arrival is a request of a session that an event loop has found. It keeps its place
// among the session's requests until it has begun: a GET when it waits, a POST when
// it is delivered. Workers start them in any order, and a POST that overtakes the GET
// before it would find no poll to answer. Guarded by Session.mu, but for what never
// changes and for reading hasBegun.
type arrival struct {
	s               *Session
	isAlone         bool          // no other was there when it came; never changes
	previousArrival *arrival      // that came before and may not have begun
	hasBegun        atomic.Bool   // or ended otherwise
	begunSignal     chan struct{} // closed by Begin; nil: no request waits
}

// arrivalPatience is how long a request waits for those before it, which a
// middleware may hold up.
const arrivalPatience = time.Second

// arrivalKey is the key of the arrival in a request's context.
type arrivalKey struct{}

// arrive notes a request that was found, by its raw query. It returns nil for requests
// that have no order, because they name no session as clients do. Requests for a
// WebSocket have none either.
func (srv *Server) arrive(query string) *arrival {
	sid := clientSID(query)
	if sid == "" {
		return nil
	}
	s := srv.session(sid)
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll == nil {
		return nil // upgraded meanwhile: the request will be refused
	}
	a := &arrival{s: s, isAlone: s.poll.lastArrival == nil, previousArrival: s.poll.lastArrival}
	s.poll.lastArrival = a
	return a
}

// clientSID finds the session id in a query that a client made. verify reads queries as
// they should be read; what this function reads otherwise has no order.
func clientSID(query string) string {
	const key = "sid="
	i := strings.Index(query, key)
	if i < 0 || i > 0 && query[i-1] != '&' {
		return ""
	}
	sid, _, _ := strings.Cut(query[i+len(key):], "&")
	return sid
}

// arrivalOf returns the arrival of a request; nil when it has none.
func arrivalOf(r *http.Request) *arrival {
	a, _ := r.Context().Value(arrivalKey{}).(*arrival)
	return a
}

// session returns the open session of this id that a request of a is for; nil when the
// server has to look for it.
func (a *arrival) session(id string) *Session {
	if a == nil || a.s.id != id || a.s.state.Load() == stateClosed {
		return nil
	}
	return a.s
}

// await waits until the requests before a have begun.
func (a *arrival) await(r *http.Request) {
	if a == nil || a.isAlone {
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
	for a.previousArrival != nil && a.previousArrival.hasBegun.Load() {
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
	if a == nil || a.hasBegun.Load() {
		return
	}
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.beginLocked()
}

func (a *arrival) beginLocked() {
	if a == nil || a.hasBegun.Load() {
		return
	}
	a.hasBegun.Store(true)
	for a.previousArrival != nil && a.previousArrival.hasBegun.Load() {
		a.previousArrival = a.previousArrival.previousArrival
	}
	if a.begunSignal != nil {
		close(a.begunSignal)
	}
	if p := a.s.poll; p != nil && p.lastArrival == a {
		p.lastArrival = a.previousArrival
	}
}

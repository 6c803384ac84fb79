package adapter

import (
	"context"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"posthouse/socketio/engineio"
)

// Drain gives back what this replica relays for others, so that it can end: the
// sessions live on, on their owners. Polls that wait are answered, and those that
// still come are short, so that clients poll elsewhere; upgrades are refused with
// 503; WebSockets are closed one after the other, in random order and evenly over
// the given time, with code 1012. It returns when nothing is relayed any more, or
// when ctx ends. Run goes on meanwhile; the server's own Drain may run beside it.
func (r *Relay) Drain(ctx context.Context, over time.Duration) error {
	return r.forwarder.drainOver(ctx, over)
}

const (
	// briefPoll is how long a poll may wait that is relayed by a replica that drains.
	briefPoll = 500 * time.Millisecond
	// releaseEvery is the pause between two looks for polls to give back: a request
	// may not have reached its owner at the first.
	releaseEvery = 100 * time.Millisecond
	// releases is how many owners are asked at once.
	releases = 16
)

// relayedPoll is a GET that waits at the owner of its session.
type relayedPoll struct {
	destination
	sessionID string
}

// addPoll reports false when the poll has to be a brief one, which ends by itself
// and is not waited for: there may always be another one.
func (l *forwarder) addPoll(p *relayedPoll) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	l.relayedPolls[p] = struct{}{}
	return true
}

func (l *forwarder) removePoll(p *relayedPoll) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.relayedPolls, p)
	l.closeIfDrained()
}

// addSocket reports false when the connection came too late.
func (l *forwarder) addSocket(s *relayedSocket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.draining {
		return false
	}
	l.relayedSockets[s] = struct{}{}
	return true
}

func (l *forwarder) removeSocket(s *relayedSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.relayedSockets, s)
	l.closeIfDrained()
}

func (l *forwarder) isDraining() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draining
}

// closeIfDrained closes idle when nothing is left. Locked.
func (l *forwarder) closeIfDrained() {
	if !l.draining || len(l.relayedPolls) > 0 || len(l.relayedSockets) > 0 {
		return
	}
	select {
	case <-l.drained:
	default:
		close(l.drained)
	}
}

func (l *forwarder) drainOver(ctx context.Context, over time.Duration) error {
	l.mu.Lock()
	l.draining = true
	l.closeIfDrained()
	sockets := slices.Collect(maps.Keys(l.relayedSockets))
	l.mu.Unlock()
	var giving sync.WaitGroup
	defer giving.Wait()
	giving.Go(func() { l.releasePolls(ctx) })

	rand.Shuffle(len(sockets), func(i, j int) { sockets[i], sockets[j] = sockets[j], sockets[i] })
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := time.Now()
	for i, s := range sockets {
		timer.Reset(time.Until(start.Add(over * time.Duration(i) / time.Duration(len(sockets)))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s.startClose()
	}
	select {
	case <-l.drained:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// closeAll cuts what is left.
func (l *forwarder) closeAll() {
	l.mu.Lock()
	l.draining = true
	l.closeIfDrained()
	sockets := slices.Collect(maps.Keys(l.relayedSockets))
	l.mu.Unlock()
	for _, s := range sockets {
		s.clientConn.Close()
		s.ownerConn.Close()
	}
	l.transport.CloseIdleConnections()
}

// releasePolls asks the owners to answer the polls that wait, until none is left.
func (l *forwarder) releasePolls(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-l.drained:
			return
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		polls := slices.Collect(maps.Keys(l.relayedPolls))
		l.mu.Unlock()
		var asking sync.WaitGroup
		next := make(chan *relayedPoll)
		for range min(releases, len(polls)) {
			asking.Go(func() {
				for p := range next {
					l.releasePoll(ctx, p)
				}
			})
		}
		for _, p := range polls {
			next <- p
		}
		close(next)
		asking.Wait()
		timer.Reset(releaseEvery)
	}
}

// releasePoll asks the owner of a session to answer its poll.
func (l *forwarder) releasePoll(ctx context.Context, p *relayedPoll) {
	ctx, cancel := context.WithTimeout(ctx, relayLinger)
	defer cancel()
	req := (&http.Request{Method: http.MethodGet, URL: &url.URL{RawQuery: "sid=" + p.sessionID}}).WithContext(ctx)
	resp, err := l.transport.RoundTrip(l.outgoingRequest(req, p.destination, p.sessionID, markRelease))
	if err != nil {
		return // a poll at a dead owner ends by itself
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, relayBuffer))
	resp.Body.Close()
}

// heldPoll is a poll of a session of this replica that another one relays.
type heldPoll struct {
	answerNow chan struct{} // closed when the poll is to be answered
	closeOnce sync.Once
}

func (p *heldPoll) answerPoll() { p.closeOnce.Do(func() { close(p.answerNow) }) }

// serveRelayed serves a request for a session of this replica that carries a mark.
// kind is "" when no replica made the mark: then the request is a client's.
func (r *Relay) serveRelayed(w http.ResponseWriter, req *http.Request, next http.Handler, sid, kind string) {
	if kind != "" {
		keepPeerConn(w)
		if r.options.OnPeer != nil {
			r.options.OnPeer(req)
		}
	}
	if kind == markRelease {
		r.mu.Lock()
		p := r.heldPolls[sid]
		r.mu.Unlock()
		if p != nil {
			p.answerPoll()
		}
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if kind == "" || req.Method != http.MethodGet || isWebSocket(req) {
		next.ServeHTTP(w, req)
		return
	}
	p := &heldPoll{answerNow: make(chan struct{})}
	if kind == markBrief {
		timer := time.AfterFunc(briefPoll, p.answerPoll)
		defer timer.Stop()
	}
	r.mu.Lock()
	r.heldPolls[sid] = p
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.heldPolls[sid] == p {
			delete(r.heldPolls, sid)
		}
	}()
	next.ServeHTTP(w, req.WithContext(engineio.WithPollRelease(req.Context(), p.answerNow)))
}

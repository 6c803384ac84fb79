package adapter

import (
	"context"
	"maps"
	"slices"
	"sync"

	"posthouse/socketio"
)

// The names of the requests, as socketio.PartialError tells them.
const (
	opEmitWithAck      = "emitWithAck"
	opFetchSockets     = "fetchSockets"
	opAllRooms         = "allRooms"
	opServerSideEmit   = "serverSideEmit"
	opRemoteDisconnect = "remoteDisconnect"
	opServerCount      = "serverCount"
	opChange           = "changing sockets"
)

// request is a question to the other nodes while it waits for their answers.
type request struct {
	op   string
	done chan struct{} // closed when everything arrived

	mu       sync.Mutex
	counted  bool // expected is known
	expected int  // answers of other nodes
	received int
	waiting  map[string]struct{} // names of nodes that have not answered, as far as known
	answered map[string]struct{} // names of nodes that have
	finished bool
	single   bool // the first acknowledgement ends it

	// What came. A broadcast with acks has clients acknowledgements to come in all.
	clients int
	values  []socketio.Value
	sockets []socketio.SocketDetails
	rooms   map[string]struct{}
}

func newRequest(op string) *request {
	return &request{
		op: op, done: make(chan struct{}),
		waiting: make(map[string]struct{}), answered: make(map[string]struct{}),
		rooms: make(map[string]struct{}),
	}
}

// expect tells how many other nodes answer, and the names of those known.
func (r *request) expect(n int, names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted, r.expected = true, n
	for _, name := range names {
		if _, ok := r.answered[name]; !ok {
			r.waiting[name] = struct{}{}
		}
	}
	r.check()
}

// answer takes the answer of one node; from may be unknown. keep stores what it
// brought, with the request locked.
func (r *request) answer(from string, keep func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	if from != "" {
		if _, twice := r.answered[from]; twice {
			return
		}
		r.answered[from] = struct{}{}
		delete(r.waiting, from)
	}
	r.received++
	keep()
	r.check()
}

// ack takes the acknowledgement of one client.
func (r *request) ack(v socketio.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	r.values = append(r.values, v)
	r.check()
}

// gone stops waiting for a node that left.
func (r *request) gone(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waiting[name]; !ok {
		return
	}
	delete(r.waiting, name)
	r.expected--
	r.check()
}

// check ends the request when nothing is missing. Locked.
func (r *request) check() {
	if r.finished {
		return
	}
	all := r.counted && r.received >= r.expected && len(r.values) >= r.clients
	if all || r.single && len(r.values) > 0 {
		r.finished = true
		close(r.done)
	}
}

// isDone reports whether nothing is missing.
func (r *request) isDone() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// wait returns nil when everything arrived, else what is missing when ctx ended.
// Nothing is added to the request once it returned.
func (r *request) wait(ctx context.Context) error {
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return nil
	}
	r.finished = true
	missing := slices.Sorted(maps.Keys(r.waiting))
	if r.op == opEmitWithAck {
		// A node that has not told its number of clients stands for one.
		silent := max(r.expected-r.received, 0)
		return &socketio.PartialError{Op: r.op, Expected: r.clients + silent, Received: len(r.values), Missing: missing}
	}
	return &socketio.PartialError{Op: r.op, Expected: r.expected, Received: r.received, Missing: missing}
}

// pending is the table of requests that wait for answers.
type pending struct {
	mu     sync.Mutex
	byID   map[string]*request
	closed bool
}

func newPending() *pending { return &pending{byID: make(map[string]*request)} }

// add registers r. It reports false after close.
func (p *pending) add(id string, r *request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.byID[id] = r
	return true
}

func (p *pending) remove(id string) {
	p.mu.Lock()
	delete(p.byID, id)
	p.mu.Unlock()
}

// get returns nil for unknown ids: late answers, and those to other nodes.
func (p *pending) get(id string) *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// gone tells all requests that a node left.
func (p *pending) gone(name string) {
	p.mu.Lock()
	all := slices.Collect(maps.Values(p.byID))
	p.mu.Unlock()
	for _, r := range all {
		r.gone(name)
	}
}

func (p *pending) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
}

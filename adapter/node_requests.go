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

// clusterRequest is a question to the other nodes while it waits for their answers.
type clusterRequest struct {
	operation  string
	allArrived chan struct{} // closed when everything arrived

	mu           sync.Mutex // guards what follows
	isCounted    bool       // expected is known
	expected     int        // answers of other nodes
	received     int
	waitingFor   map[string]struct{} // names of nodes that have not answered, as far as known
	answered     map[string]struct{} // names of nodes that have
	isFinished   bool
	firstAckEnds bool // the first acknowledgement ends it

	// The answers so far. A broadcast with acks has clientCount acknowledgements to come in all.
	clientCount int
	values      []socketio.Value
	sockets     []socketio.SocketDetails
	rooms       map[string]struct{}
}

func newRequest(op string) *clusterRequest {
	return &clusterRequest{
		operation: op, allArrived: make(chan struct{}),
		waitingFor: make(map[string]struct{}), answered: make(map[string]struct{}),
		rooms: make(map[string]struct{}),
	}
}

// setExpected tells how many other nodes answer, and the names of those known.
func (r *clusterRequest) setExpected(n int, names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCounted, r.expected = true, n
	for _, name := range names {
		if _, ok := r.answered[name]; !ok {
			r.waitingFor[name] = struct{}{}
		}
	}
	r.finishIfComplete()
}

// takeAnswer takes the answer of one node; from may be unknown. keep stores what it
// brought, with the request locked.
func (r *clusterRequest) takeAnswer(from string, keep func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isFinished {
		return
	}
	if from != "" {
		if _, twice := r.answered[from]; twice {
			return
		}
		r.answered[from] = struct{}{}
		delete(r.waitingFor, from)
	}
	r.received++
	keep()
	r.finishIfComplete()
}

// takeAck takes the acknowledgement of one client.
func (r *clusterRequest) takeAck(v socketio.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isFinished {
		return
	}
	r.values = append(r.values, v)
	r.finishIfComplete()
}

// addClients adds to the number of clients that acknowledge.
func (r *clusterRequest) addClients(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clientCount += n
}

// finishIfAllAreThere ends the request when nothing is missing.
func (r *clusterRequest) finishIfAllAreThere() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finishIfComplete()
}

// nodeLeft stops waiting for a node that left.
func (r *clusterRequest) nodeLeft(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.waitingFor[name]; !ok {
		return
	}
	delete(r.waitingFor, name)
	r.expected--
	r.finishIfComplete()
}

// finishIfComplete ends the request when nothing is missing. Locked.
func (r *clusterRequest) finishIfComplete() {
	if r.isFinished {
		return
	}
	all := r.isCounted && r.received >= r.expected && len(r.values) >= r.clientCount
	if all || r.firstAckEnds && len(r.values) > 0 {
		r.isFinished = true
		close(r.allArrived)
	}
}

// mergeSockets puts the sockets of other nodes behind those of this one. With recovery, a
// session can go on at one node while another, which was cut off, does not know yet that its
// client has left: of two sockets with one id the one that was opened later counts.
func (m *node) mergeSockets(own, others []socketio.SocketDetails) []socketio.SocketDetails {
	all := append(own, others...)
	if _, recovers := m.localAdapter.RecoveryEnabled(); !recovers || len(others) == 0 {
		return all
	}
	at := make(map[string]int, len(all))
	merged := all[:0]
	for _, s := range all {
		i, twice := at[s.ID]
		switch {
		case !twice:
			at[s.ID] = len(merged)
			merged = append(merged, s)
		case s.Handshake != nil && (merged[i].Handshake == nil || merged[i].Handshake.Issued < s.Handshake.Issued):
			merged[i] = s
		}
	}
	return merged
}

// isDone reports whether nothing is missing.
func (r *clusterRequest) isDone() bool {
	select {
	case <-r.allArrived:
		return true
	default:
		return false
	}
}

// wait returns nil when everything arrived, else what is missing when ctx ended.
// Nothing is added to the request once it returned.
func (r *clusterRequest) wait(ctx context.Context) error {
	select {
	case <-r.allArrived:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isFinished {
		return nil
	}
	r.isFinished = true
	missing := slices.Sorted(maps.Keys(r.waitingFor))
	if r.operation == opEmitWithAck {
		// A node that has not told its number of clients stands for one.
		silent := max(r.expected-r.received, 0)
		return &socketio.PartialError{Op: r.operation, Expected: r.clientCount + silent, Received: len(r.values), Missing: missing}
	}
	return &socketio.PartialError{Op: r.operation, Expected: r.expected, Received: r.received, Missing: missing}
}

// pendingRequests is the table of requests that wait for answers.
type pendingRequests struct {
	mu     sync.Mutex // guards what follows
	byID   map[string]*clusterRequest
	closed bool
}

func newPending() *pendingRequests { return &pendingRequests{byID: make(map[string]*clusterRequest)} }

// add registers r. It reports false after close.
func (p *pendingRequests) add(id string, r *clusterRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.byID[id] = r
	return true
}

func (p *pendingRequests) remove(id string) {
	p.mu.Lock()
	delete(p.byID, id)
	p.mu.Unlock()
}

// get returns nil for unknown ids: late answers, and those to other nodes.
func (p *pendingRequests) get(id string) *clusterRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// nodeLeft tells all requests that a node left.
func (p *pendingRequests) nodeLeft(name string) {
	p.mu.Lock()
	all := slices.Collect(maps.Values(p.byID))
	p.mu.Unlock()
	for _, r := range all {
		r.nodeLeft(name)
	}
}

func (p *pendingRequests) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
}

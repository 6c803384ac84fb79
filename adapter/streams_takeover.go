package adapter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// A client can come back to this node while another one still takes its old
// connection for alive: its session is kept nowhere yet. The Go nodes are asked, on
// the channel on which they tell each other of their presence: the one that has the
// session keeps it and ends the old socket (docs/protocol.md §3.8). Nodes of the
// reference do not listen there, and a session that one of them has is not found.

const (
	// takeoverPatience bounds the wait for the other nodes: one that has just died
	// answers no more. The client gets a fresh session then.
	takeoverPatience = 500 * time.Millisecond
	// maxTakeovers bounds how many questions one namespace of a node may have open.
	maxTakeovers = 256
)

// sessionCall is a question for a session, or the answer of one node. A session is
// named by the SHA-256 of its private id, so that the id itself stays between the
// client and the node that it speaks to.
type sessionCall struct {
	UID     string       `json:"uid"`
	Type    presenceType `json:"type"`
	Request string       `json:"request"`
	Digest  string       `json:"session,omitempty"` // of the question, in hexadecimal digits
}

const (
	sessionWanted presenceType = "session-wanted"
	sessionKept   presenceType = "session-kept"
	sessionNone   presenceType = "session-none"
	// A node that cannot vouch itself for what was heard since an offset asks the others; the
	// field session holds the offset.
	hearingWanted presenceType = "heard-wanted"
	hearingWhole  presenceType = "heard"
	hearingBroken presenceType = "heard-not"
)

// takeovers are the open questions of this node.
type takeovers struct {
	mu            sync.Mutex // guards what follows
	openTakeovers map[string]*takeover
}

type takeover struct {
	unanswered map[string]struct{} // nodes that have not answered
	settled    chan struct{}       // closed by the answer that settles it
	positive   bool                // a node has answered with yes; valid when settled
}

// add opens a question to nodes; nil when there are none, or too many questions.
func (t *takeovers) add(request string, nodes []string) *takeover {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(nodes) == 0 || len(t.openTakeovers) >= maxTakeovers {
		return nil
	}
	q := &takeover{unanswered: make(map[string]struct{}, len(nodes)), settled: make(chan struct{})}
	for _, uid := range nodes {
		q.unanswered[uid] = struct{}{}
	}
	if t.openTakeovers == nil {
		t.openTakeovers = make(map[string]*takeover)
	}
	t.openTakeovers[request] = q
	return q
}

// takeAnswer takes the answer of a node.
func (t *takeovers) takeAnswer(request, uid string, kept bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.openTakeovers[request]
	if q == nil {
		return
	}
	if delete(q.unanswered, uid); kept || len(q.unanswered) == 0 {
		q.positive = kept
		delete(t.openTakeovers, request)
		close(q.settled)
	}
}

func (t *takeovers) forgetRequest(request string) {
	t.mu.Lock()
	delete(t.openTakeovers, request)
	t.mu.Unlock()
}

// callResult tells what came of a question for a session.
type callResult int

const (
	callAnswered   callResult = iota // one node has kept the session, or no node has it
	callUnanswered                   // a node did not answer in time
	callLost                         // the answers could not arrive
)

// callForSession has the other Go nodes keep the session of a private id, and waits
// for it, shortly. Their answers cannot arrive while the subscription of this node is
// being made again: then the result is callLost, when the question is worth asking again.
func (a *recoveryLog) callForSession(ctx context.Context, pid string) callResult {
	request := hexID()
	q := a.takeovers.add(request, a.presence.goNodes())
	if q == nil {
		return callAnswered
	}
	defer a.takeovers.forgetRequest(request)
	able, lost := a.presenceChannels.canArrive(), a.presenceChannels.whenLost()
	digest := sha256.Sum256([]byte(pid))
	a.tellSession(sessionCall{a.uid, sessionWanted, request, hex.EncodeToString(digest[:])})
	timer := time.NewTimer(takeoverPatience)
	defer timer.Stop()
	select {
	case <-q.settled:
		return callAnswered
	case <-timer.C:
	case <-ctx.Done():
		return callAnswered // there is no time for more
	case <-a.ctx.Done():
		return callAnswered
	}
	select {
	case <-lost:
		able = false
	default:
	}
	if able {
		return callUnanswered
	}
	select {
	case <-a.presenceChannels.whenReachable():
	case <-ctx.Done():
	case <-a.ctx.Done():
	}
	return callLost
}

func (a *recoveryLog) tellSession(c sessionCall) {
	if b, err := json.Marshal(c); err == nil {
		_ = a.tellNodes(b) // a lost question ends by takeoverPatience
	}
}

// hearCall is hearSession for an adapter that may have no log; a may be nil. Other nodes
// may have one.
func (a *pubSubLog) hearCall(payload []byte) bool {
	if a != nil && a.keepFor > 0 {
		return a.hearSession(payload)
	}
	var c sessionCall
	return json.Unmarshal(payload, &c) == nil && c.Request != ""
}

// hearSession takes a message of the channel of presence, if it is a sessionCall.
func (a *recoveryLog) hearSession(payload []byte) bool {
	var c sessionCall
	if json.Unmarshal(payload, &c) != nil || c.Request == "" || len(c.Request) > 64 || c.UID == "" {
		return false
	}
	switch c.Type {
	case sessionWanted:
		if c.UID != a.uid {
			a.answerSession(c)
		}
	case hearingWanted:
		if c.UID != a.uid && a.hearing != nil {
			a.answerHearing(c)
		}
	case sessionKept, sessionNone, hearingWhole, hearingBroken:
		a.takeovers.takeAnswer(c.Request, c.UID, c.Type == sessionKept || c.Type == hearingWhole)
	default:
		return false
	}
	return true
}

// answerSession is called by the goroutine of the subscription, which must not wait
// for Redis.
func (a *recoveryLog) answerSession(c sessionCall) {
	var digest [sha256.Size]byte
	b, err := hex.DecodeString(c.Digest)
	answer := sessionCall{UID: a.uid, Type: sessionNone, Request: c.Request}
	if err != nil || copy(digest[:], b) != len(digest) || !a.localAdapter.HoldsSession(digest) {
		a.tellSession(answer)
		return
	}
	a.wg.Go(func() {
		ctx, cancel := context.WithTimeout(a.ctx, a.requestTimeout)
		defer cancel()
		found, err := a.localAdapter.KeepSession(ctx, digest)
		if err != nil {
			a.log.Warn("the session of a client that came back to another node was not kept", "error", err)
		}
		if found && err == nil {
			answer.Type = sessionKept
		}
		a.tellSession(answer)
	})
}

// goNodes returns the uids of the other Go nodes that live.
func (p *presence) goNodes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	uids := make([]string, 0, len(p.lastHeard))
	for uid := range p.lastHeard {
		uids = append(uids, uid)
	}
	return uids
}

// isPrivateID reports whether text can be a private session id: other nodes are not
// asked about anything else.
func isPrivateID(text string) bool {
	if len(text) != 20 {
		return false
	}
	for _, c := range []byte(text) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

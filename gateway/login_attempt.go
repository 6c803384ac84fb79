package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"posthouse/internal/login"
)

// recipient is the other end of an attempt: a socket of /login or a raw WebSocket.
type recipient interface {
	id() string
	// sendState sends a state. It does not wait.
	sendState(s stateAnswer)
	// sendResult sends the result and reports whether it arrived. It waits until that is
	// known, the browser is gone or ctx ends.
	sendResult(ctx context.Context, r login.Result) bool
	// disconnect ends the connection after its result has arrived.
	disconnect()
}

// loginAttempt is one ticket bound to one browser of this replica.
type loginAttempt struct {
	ticket       login.Ticket // as it was when bound; what never changes of it is used
	qrcodeAnswer qrcodeAnswer // for qrcode again; zero after a resume
	recipient    recipient
	ctx          context.Context // ends when the ticket is bound elsewhere or is over
	cancel       context.CancelFunc

	delivering       atomic.Bool
	pendingRefreshes atomic.Int64  // asked for and not yet answered; see refresh
	readCount        atomic.Uint64 // counts the reads of the ticket, in the order they began

	// informMu orders what the page is told. It is held while recipient.sendState queues a
	// message, which never waits.
	informMu       sync.Mutex
	latestInformed uint64 // the read that was reacted to last, guarded by informMu

	mu          sync.Mutex  // guards what follows
	toldState   login.State // what the page was told last
	expiresAt   time.Time   // on this replica's clock
	expiryTimer *time.Timer
}

// stateMoved is what a page is told when another socket has resumed its ticket
// (docs/login.md §2). It is no state of the ticket, which lives on.
const stateMoved login.State = "moved"

// shownState is the state a page is told: a login that was taken back reads denied.
func shownState(t login.Ticket) login.State {
	if t.Revoked {
		return login.Denied
	}
	return t.Visible()
}

// markTold reports whether the page does not know yet, and remembers that it does now.
func (a *loginAttempt) markTold(s login.State) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.toldState == s {
		return false
	}
	a.toldState = s
	return true
}

func (a *loginAttempt) currentState() login.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.toldState
}

// timeLeft is how long the ticket still lives, by this replica's clock.
func (a *loginAttempt) timeLeft() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.expiresAt)
}

// inform tells the page what is new in t, which was read in the given order. A read
// that began before one that was told already is stale: false.
func (a *loginAttempt) inform(t login.Ticket, read uint64) bool {
	a.informMu.Lock()
	defer a.informMu.Unlock()
	if read < a.latestInformed || a.ownedOrNil() == nil {
		return false
	}
	a.latestInformed = read
	if a.markTold(shownState(t)) {
		a.recipient.sendState(stateOf(t))
	}
	return true
}

// moveAway ends the attempt because its ticket is bound to another socket, and tells its
// page so. What is read of the ticket from now on is not this page's.
func (a *loginAttempt) moveAway() {
	a.stopAll()
	a.informMu.Lock()
	defer a.informMu.Unlock()
	if a.markTold(stateMoved) {
		a.recipient.sendState(stateAnswer{State: stateMoved})
	}
}

// ownedOrNil is nil for an attempt whose ticket is another socket's by now.
func (a *loginAttempt) ownedOrNil() *loginAttempt {
	if a == nil || a.currentState() == stateMoved {
		return nil
	}
	return a
}

// extendBy takes over that the ticket lives for left from now on.
func (a *loginAttempt) extendBy(left time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ends := time.Now().Add(left)
	if a.expiryTimer != nil && ends.Sub(a.expiresAt) > time.Second && a.ctx.Err() == nil {
		a.expiryTimer.Reset(left)
	}
	a.expiresAt = ends
}

// stopAll ends everything that is under way for the attempt.
func (a *loginAttempt) stopAll() {
	a.cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.expiryTimer != nil {
		a.expiryTimer.Stop()
	}
}

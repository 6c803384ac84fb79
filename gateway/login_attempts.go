package gateway

import (
	"context"
	"errors"
	"maps"
	"slices"
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

// loginAttempts are those of this replica by ticket.
type loginAttempts struct {
	mu            sync.Mutex // guards what follows
	openAttempts  map[string]*loginAttempt
	pollQueue     []string             // still to be polled in this round
	orphanTickets map[string]time.Time // tickets whose browser left: when their end is to be counted
}

// maxOrphans bounds what is remembered only to count why attempts end.
const maxOrphans = 20_000

func newAttempts() loginAttempts {
	return loginAttempts{openAttempts: map[string]*loginAttempt{}, orphanTickets: map[string]time.Time{}}
}

func (as *loginAttempts) find(id string) *loginAttempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.openAttempts[id]
}

// add makes a the attempt of its ticket, and returns the one it takes the place of.
func (as *loginAttempts) add(a *loginAttempt) (old *loginAttempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	old = as.openAttempts[a.ticket.ID]
	as.openAttempts[a.ticket.ID] = a
	delete(as.orphanTickets, a.ticket.ID)
	return old
}

// drop forgets a; false when it was not (any more) the attempt of its ticket.
func (as *loginAttempts) drop(a *loginAttempt) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.openAttempts[a.ticket.ID] != a {
		return false
	}
	delete(as.openAttempts, a.ticket.ID)
	return true
}

// addOrphan remembers that no socket watches over a's ticket any more.
func (as *loginAttempts) addOrphan(a *loginAttempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.orphanTickets) < maxOrphans {
		as.orphanTickets[a.ticket.ID] = time.Now().Add(a.timeLeft() + login.Grace + time.Second)
	}
}

// nextToPoll returns the attempts to poll now: all of them, or the next part of very many.
func (as *loginAttempts) nextToPoll(n int) []*loginAttempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.pollQueue) == 0 {
		as.pollQueue = slices.AppendSeq(as.pollQueue[:0], maps.Keys(as.openAttempts))
	}
	n = min(n, len(as.pollQueue))
	some := make([]*loginAttempt, 0, n)
	for _, id := range as.pollQueue[:n] {
		if a := as.openAttempts[id]; a != nil {
			some = append(some, a)
		}
	}
	as.pollQueue = as.pollQueue[n:]
	return some
}

// roundUnfinished reports whether a round of polls is not through.
func (as *loginAttempts) roundUnfinished() bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return len(as.pollQueue) > 0
}

// dueOrphans returns orphans whose time is over, and forgets them.
func (as *loginAttempts) dueOrphans(now time.Time) (ids []string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for id, at := range as.orphanTickets {
		if now.After(at) && len(ids) < 256 {
			ids = append(ids, id)
			delete(as.orphanTickets, id)
		}
	}
	return ids
}

// bindTicket makes b the recipient of t's ticket on this replica.
func (n *loginNamespace) bindTicket(ctx context.Context, t login.Ticket, b recipient, answer qrcodeAnswer) *loginAttempt {
	a := &loginAttempt{ticket: t, qrcodeAnswer: answer, recipient: b, toldState: shownState(t), expiresAt: time.Now().Add(t.ExpiresIn())}
	// Not the socket's own end: an acknowledgement may still be read after it.
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	switch old := n.attempts.add(a); {
	case old == nil:
	case old.recipient.id() == b.id():
		old.stopAll()
	default:
		old.moveAway()
	}
	if left := t.ExpiresIn(); left > 0 {
		a.mu.Lock()
		a.expiryTimer = time.AfterFunc(left, func() { n.panicGuard.runTask("end", func() { n.refresh(a) }) })
		a.mu.Unlock()
	}
	return a
}

// releaseAttempt forgets an attempt whose browser left or took another ticket.
func (n *loginNamespace) releaseAttempt(ctx context.Context, a *loginAttempt) {
	a.stopAll()
	if !n.attempts.drop(a) {
		return
	}
	if !a.currentState().Terminal() {
		n.attempts.addOrphan(a)
	}
	if err := n.loginService.Unbind(context.WithoutCancel(ctx), a.ticket.ID, a.recipient.id()); err != nil {
		n.log.Debug("gateway: unbind", "error", err)
	}
}

// pollAtMost is how many tickets one round asks for; with more open ones each is
// looked at every few seconds.
const pollAtMost = 2000

func (n *loginNamespace) pollTickets(ctx context.Context) {
	some := n.attempts.nextToPoll(pollAtMost)
	ids, reads := make([]string, len(some)), make([]uint64, len(some))
	for i, a := range some {
		ids[i], reads[i] = a.ticket.ID, a.readCount.Add(1)
	}
	tickets, err := n.loginService.Tickets(ctx, ids)
	if err != nil {
		n.tellTheTime(some)
		return
	}
	byID := make(map[string]login.Ticket, len(tickets))
	for _, t := range tickets {
		byID[t.ID] = t
	}
	for i, a := range some {
		t, ok := byID[a.ticket.ID]
		n.panicGuard.runTask("react", func() { n.apply(ctx, a, t, ok, reads[i]) }) // the others have their turn
	}
	for _, id := range n.attempts.dueOrphans(time.Now()) {
		if _, err := n.loginService.Expire(ctx, id); err != nil {
			n.log.Debug("gateway: expire", "error", err)
		}
	}
}

// tellTheTime is what can be said while the store is away: that a ticket is over.
func (n *loginNamespace) tellTheTime(some []*loginAttempt) {
	for _, a := range some {
		if a.currentState() != login.Done && a.timeLeft() < 0 && a.markTold(login.Expired) {
			a.recipient.sendState(stateAnswer{State: login.Expired})
		}
	}
}

// refresh reads one ticket and does what is due. A caller that asks while a look is under
// way gets one more after it, so that at most one is. nil stands for no attempt.
func (n *loginNamespace) refresh(a *loginAttempt) {
	if a == nil || a.pendingRefreshes.Add(1) > 1 {
		return
	}
	started := n.startTask(func() {
		for {
			asked := a.pendingRefreshes.Load()
			n.panicGuard.runTask("look", func() { n.lookOnce(a) })
			if a.pendingRefreshes.CompareAndSwap(asked, 0) {
				return
			}
		}
	})
	if !started {
		a.pendingRefreshes.Store(0)
	}
}

func (n *loginNamespace) lookOnce(a *loginAttempt) {
	read := a.readCount.Add(1)
	t, err := n.loginService.Ticket(a.ctx, a.ticket.ID)
	if err != nil && !errors.Is(err, login.ErrUnauthorized) {
		n.tellTheTime([]*loginAttempt{a})
		return
	}
	n.apply(a.ctx, a, t, err == nil, read)
}

// apply tells the browser what is new about its ticket, sends the result that is
// there, and forgets what is over. known is false when the store lost the ticket;
// read is the order of the read that gave t.
func (n *loginNamespace) apply(ctx context.Context, a *loginAttempt, t login.Ticket, known bool, read uint64) {
	if a.ctx.Err() != nil {
		return
	}
	if !known { // a Redis without persistence was restarted (docs/reliability.md §3 row F2)
		t = login.Ticket{State: login.Expired}
	} else if t.SocketID != a.recipient.id() { // resumed on another replica
		a.moveAway()
		n.attempts.drop(a)
		return
	}
	if !a.inform(t, read) {
		return
	}
	switch {
	case t.Pending():
		n.deliverResult(a, t)
	case t.State.Terminal():
		if !a.delivering.Load() {
			a.stopAll()
			n.attempts.drop(a)
		}
	case t.Visible() == login.Expired && t.Now.After(t.ExpiresAt.Add(login.Grace)):
		if _, err := n.loginService.Expire(ctx, t.ID); err != nil {
			n.log.Debug("gateway: expire", "error", err)
		}
	default:
		// A confirm step gives the ticket more time than it had.
		a.extendBy(t.ExpiresIn())
	}
}

// deliverResult makes the result and hands it over, once at a time. What does not arrive
// stays pending in the store, for a resume.
func (n *loginNamespace) deliverResult(a *loginAttempt, t login.Ticket) {
	if !a.delivering.CompareAndSwap(false, true) {
		return
	}
	started := n.startTask(func() {
		over := false
		defer func() { a.delivering.Store(over) }() // also after a panic
		over = n.handOver(a, t)
	})
	if !started {
		a.delivering.Store(false)
	}
}

func (n *loginNamespace) handOver(a *loginAttempt, t login.Ticket) bool {
	r, err := n.loginService.Result(a.ctx, t)
	if err != nil {
		n.log.Warn("gateway: result not made; trying again", "account", t.Account, "error", err)
		return false
	}
	if !a.recipient.sendResult(a.ctx, r) {
		n.metrics.Count("delivery", t.Account, r.Event+":lost")
		return false
	}
	n.metrics.Count("delivery", t.Account, r.Event+":arrived")
	if err := n.loginService.Delivered(context.WithoutCancel(a.ctx), t.ID); err != nil {
		n.log.Warn("gateway: delivery not noted", "account", t.Account, "error", err)
	}
	a.stopAll()
	n.attempts.drop(a)
	a.recipient.disconnect()
	return true
}

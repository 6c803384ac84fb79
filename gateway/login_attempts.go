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

// browser is the other end of an attempt: a socket of /login or a raw WebSocket.
type browser interface {
	id() string
	// tell sends a state. It does not wait.
	tell(s stateAnswer)
	// hand sends the result and reports whether it arrived. It waits until that is
	// known, the browser is gone or ctx ends.
	hand(ctx context.Context, r login.Result) bool
	// leave ends the connection after its result has arrived.
	leave()
}

// attempt is one ticket bound to one browser of this replica.
type attempt struct {
	ticket  login.Ticket // as it was when bound; what never changes of it is used
	answer  qrcodeAnswer // for qrcode again; zero after a resume
	browser browser
	ctx     context.Context // ends when the ticket is bound elsewhere or is over
	end     context.CancelFunc

	delivering atomic.Bool
	looks      atomic.Int64  // asked for and not yet answered; see look
	reads      atomic.Uint64 // counts the reads of the ticket, in the order they began

	// telling orders what the page is told. It is held while browser.tell queues a
	// message, which never waits.
	telling sync.Mutex
	latest  uint64 // the read that was reacted to last, guarded by telling

	mu    sync.Mutex  // guards what follows
	told  login.State // what the page was told last
	ends  time.Time   // on this replica's clock
	timer *time.Timer
}

// stateMoved is what a page is told when another socket has resumed its ticket
// (docs/login.md §2). It is no state of the ticket, which lives on.
const stateMoved login.State = "moved"

// shown is the state a page is told: a login that was taken back reads denied.
func shown(t login.Ticket) login.State {
	if t.Revoked {
		return login.Denied
	}
	return t.Visible()
}

// news reports whether the page does not know yet, and remembers that it does now.
func (a *attempt) news(s login.State) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told == s {
		return false
	}
	a.told = s
	return true
}

func (a *attempt) state() login.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.told
}

// left is how long the ticket still lives, by this replica's clock.
func (a *attempt) left() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Until(a.ends)
}

// inform tells the page what is new in t, which was read in the given order. A read
// that began before one that was told already is stale: false.
func (a *attempt) inform(t login.Ticket, read uint64) bool {
	a.telling.Lock()
	defer a.telling.Unlock()
	if read < a.latest || a.owned() == nil {
		return false
	}
	a.latest = read
	if a.news(shown(t)) {
		a.browser.tell(stateOf(t))
	}
	return true
}

// move ends the attempt because its ticket is bound to another socket, and tells its
// page so. What is read of the ticket from now on is not this page's.
func (a *attempt) move() {
	a.over()
	a.telling.Lock()
	defer a.telling.Unlock()
	if a.news(stateMoved) {
		a.browser.tell(stateAnswer{State: stateMoved})
	}
}

// owned is nil for an attempt whose ticket is another socket's by now.
func (a *attempt) owned() *attempt {
	if a == nil || a.state() == stateMoved {
		return nil
	}
	return a
}

// extend takes over that the ticket lives for left from now on.
func (a *attempt) extend(left time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	ends := time.Now().Add(left)
	if a.timer != nil && ends.Sub(a.ends) > time.Second && a.ctx.Err() == nil {
		a.timer.Reset(left)
	}
	a.ends = ends
}

// over ends everything that is under way for the attempt.
func (a *attempt) over() {
	a.end()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.timer != nil {
		a.timer.Stop()
	}
}

// attempts are those of this replica by ticket.
type attempts struct {
	mu     sync.Mutex
	open   map[string]*attempt
	queue  []string             // still to be polled in this round
	orphan map[string]time.Time // tickets whose browser left: when their end is to be counted
}

// maxOrphans bounds what is remembered only to count why attempts end.
const maxOrphans = 20_000

func newAttempts() attempts {
	return attempts{open: map[string]*attempt{}, orphan: map[string]time.Time{}}
}

func (as *attempts) find(id string) *attempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.open[id]
}

// add makes a the attempt of its ticket, and returns the one it takes the place of.
func (as *attempts) add(a *attempt) (old *attempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	old = as.open[a.ticket.ID]
	as.open[a.ticket.ID] = a
	delete(as.orphan, a.ticket.ID)
	return old
}

// drop forgets a; false when it was not (any more) the attempt of its ticket.
func (as *attempts) drop(a *attempt) bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.open[a.ticket.ID] != a {
		return false
	}
	delete(as.open, a.ticket.ID)
	return true
}

// abandon remembers that nobody watches over a's ticket any more.
func (as *attempts) abandon(a *attempt) {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.orphan) < maxOrphans {
		as.orphan[a.ticket.ID] = time.Now().Add(a.left() + login.Grace + time.Second)
	}
}

// next returns the attempts to poll now: all of them, or the next part of very many.
func (as *attempts) next(n int) []*attempt {
	as.mu.Lock()
	defer as.mu.Unlock()
	if len(as.queue) == 0 {
		as.queue = slices.AppendSeq(as.queue[:0], maps.Keys(as.open))
	}
	n = min(n, len(as.queue))
	some := make([]*attempt, 0, n)
	for _, id := range as.queue[:n] {
		if a := as.open[id]; a != nil {
			some = append(some, a)
		}
	}
	as.queue = as.queue[n:]
	return some
}

// unread reports whether a round of polls is not through.
func (as *attempts) unread() bool {
	as.mu.Lock()
	defer as.mu.Unlock()
	return len(as.queue) > 0
}

// due returns orphans whose time is over, and forgets them.
func (as *attempts) due(now time.Time) (ids []string) {
	as.mu.Lock()
	defer as.mu.Unlock()
	for id, at := range as.orphan {
		if now.After(at) && len(ids) < 256 {
			ids = append(ids, id)
			delete(as.orphan, id)
		}
	}
	return ids
}

// bind makes b the browser of t's ticket on this replica.
func (n *loginNamespace) bind(ctx context.Context, t login.Ticket, b browser, answer qrcodeAnswer) *attempt {
	a := &attempt{ticket: t, answer: answer, browser: b, told: shown(t), ends: time.Now().Add(t.ExpiresIn())}
	// Not the socket's own end: an acknowledgement may still be read after it.
	a.ctx, a.end = context.WithCancel(context.WithoutCancel(ctx))
	switch old := n.attempts.add(a); {
	case old == nil:
	case old.browser.id() == b.id():
		old.over()
	default:
		old.move()
	}
	if left := t.ExpiresIn(); left > 0 {
		a.mu.Lock()
		a.timer = time.AfterFunc(left, func() { n.guard.run("end", func() { n.look(a) }) })
		a.mu.Unlock()
	}
	return a
}

// release forgets an attempt whose browser left or took another ticket.
func (n *loginNamespace) release(ctx context.Context, a *attempt) {
	a.over()
	if !n.attempts.drop(a) {
		return
	}
	if !a.state().Terminal() {
		n.attempts.abandon(a)
	}
	if err := n.service.Unbind(context.WithoutCancel(ctx), a.ticket.ID, a.browser.id()); err != nil {
		n.log.Debug("gateway: unbind", "error", err)
	}
}

// pollAtMost is how many tickets one round asks for; with more open ones each is
// looked at every few seconds.
const pollAtMost = 2000

func (n *loginNamespace) poll(ctx context.Context) {
	some := n.attempts.next(pollAtMost)
	ids, reads := make([]string, len(some)), make([]uint64, len(some))
	for i, a := range some {
		ids[i], reads[i] = a.ticket.ID, a.reads.Add(1)
	}
	tickets, err := n.service.Tickets(ctx, ids)
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
		n.guard.run("react", func() { n.react(ctx, a, t, ok, reads[i]) }) // the others have their turn
	}
	for _, id := range n.attempts.due(time.Now()) {
		if _, err := n.service.Expire(ctx, id); err != nil {
			n.log.Debug("gateway: expire", "error", err)
		}
	}
}

// tellTheTime is what can be said while the store is away: that a ticket is over.
func (n *loginNamespace) tellTheTime(some []*attempt) {
	for _, a := range some {
		if a.state() != login.Done && a.left() < 0 && a.news(login.Expired) {
			a.browser.tell(stateAnswer{State: login.Expired})
		}
	}
}

// look reads one ticket and does what is due. Whoever asks while a look is under
// way gets one more after it, so that at most one is. nil is nobody's attempt.
func (n *loginNamespace) look(a *attempt) {
	if a == nil || a.looks.Add(1) > 1 {
		return
	}
	started := n.tasks.start(func() {
		for {
			asked := a.looks.Load()
			n.guard.run("look", func() { n.lookOnce(a) })
			if a.looks.CompareAndSwap(asked, 0) {
				return
			}
		}
	})
	if !started {
		a.looks.Store(0)
	}
}

func (n *loginNamespace) lookOnce(a *attempt) {
	read := a.reads.Add(1)
	t, err := n.service.Ticket(a.ctx, a.ticket.ID)
	if err != nil && !errors.Is(err, login.ErrUnauthorized) {
		n.tellTheTime([]*attempt{a})
		return
	}
	n.react(a.ctx, a, t, err == nil, read)
}

// react tells the browser what is new about its ticket, sends the result that is
// there, and forgets what is over. known is false when the store lost the ticket;
// read is the order of the read that gave t.
func (n *loginNamespace) react(ctx context.Context, a *attempt, t login.Ticket, known bool, read uint64) {
	if a.ctx.Err() != nil {
		return
	}
	if !known { // a Redis without persistence was restarted (docs/reliability.md §3 row F2)
		t = login.Ticket{State: login.Expired}
	} else if t.SocketID != a.browser.id() { // resumed on another replica
		a.move()
		n.attempts.drop(a)
		return
	}
	if !a.inform(t, read) {
		return
	}
	switch {
	case t.Pending():
		n.deliver(a, t)
	case t.State.Terminal():
		if !a.delivering.Load() {
			a.over()
			n.attempts.drop(a)
		}
	case t.Visible() == login.Expired && t.Now.After(t.ExpiresAt.Add(login.Grace)):
		if _, err := n.service.Expire(ctx, t.ID); err != nil {
			n.log.Debug("gateway: expire", "error", err)
		}
	default:
		// A confirm step gives the ticket more time than it had.
		a.extend(t.ExpiresIn())
	}
}

// deliver makes the result and hands it over, once at a time. What does not arrive
// stays pending in the store, for a resume.
func (n *loginNamespace) deliver(a *attempt, t login.Ticket) {
	if !a.delivering.CompareAndSwap(false, true) {
		return
	}
	started := n.tasks.start(func() {
		over := false
		defer func() { a.delivering.Store(over) }() // also after a panic
		over = n.handOver(a, t)
	})
	if !started {
		a.delivering.Store(false)
	}
}

func (n *loginNamespace) handOver(a *attempt, t login.Ticket) bool {
	r, err := n.service.Result(a.ctx, t)
	if err != nil {
		n.log.Warn("gateway: result not made; trying again", "account", t.Account, "error", err)
		return false
	}
	if !a.browser.hand(a.ctx, r) {
		n.metrics.Count("delivery", t.Account, r.Event+":lost")
		return false
	}
	n.metrics.Count("delivery", t.Account, r.Event+":arrived")
	if err := n.service.Delivered(context.WithoutCancel(a.ctx), t.ID); err != nil {
		n.log.Warn("gateway: delivery not noted", "account", t.Account, "error", err)
	}
	a.over()
	n.attempts.drop(a)
	a.browser.leave()
	return true
}

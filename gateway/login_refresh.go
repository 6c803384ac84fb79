package gateway

import (
	"context"
	"errors"
	"time"

	"posthouse/internal/login"
)

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

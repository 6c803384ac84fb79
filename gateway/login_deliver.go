package gateway

import (
	"context"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/tracing"
)

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
	ctx, end := n.traces.step(a.ctx, tracing.Token, t)
	r, err := n.loginService.Result(ctx, t)
	if err != nil {
		end("not made")
		n.log.Warn("gateway: result not made; trying again", "account", t.Account, "error", err)
		return false
	}
	end("")
	ctx, end = n.traces.step(ctx, tracing.Delivered, t)
	if !a.recipient.sendResult(ctx, r) {
		end("lost")
		n.metrics.Count("delivery", t.Account, r.Event+":lost")
		return false
	}
	end("")
	n.metrics.Count("delivery", t.Account, r.Event+":arrived")
	n.metrics.Stage(login.StageDelivered, time.Since(t.IssuedAt))
	if err := n.loginService.Delivered(context.WithoutCancel(a.ctx), t.ID); err != nil {
		n.log.Warn("gateway: delivery not noted", "account", t.Account, "error", err)
	}
	a.stopAll()
	n.attempts.drop(a)
	a.recipient.disconnect()
	return true
}

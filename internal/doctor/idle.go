package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// idleChecks are connections that wait beside the other checks.
type idleChecks struct {
	began  time.Time
	length time.Duration
	ended  sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	alive  []string   // ways that lasted
	faults []string
	status *answer // that ended a poll
}

// startIdle opens a WebSocket and a poll, and leaves them alone for as long as the server
// itself is silent. finishIdle waits for their end.
func (w *walk) startIdle(ctx context.Context) *idleChecks {
	c := &idleChecks{began: time.Now()}
	interval := time.Duration(w.open.PingInterval) * time.Millisecond
	c.length = cmp.Or(w.options.Idle, interval+idleExtra)
	if w.hasSocket {
		if s, err := w.openSocket(ctx, websocket.CompressionDisabled); err == nil {
			if _, err := w.join(ctx, s); err == nil {
				c.ended.Go(func() {
					defer s.close()
					c.note("a WebSocket", w.stayIdle(ctx, s, c.length, func(ctx context.Context, packets ...string) error { return s.send(ctx, packets...) }))
				})
			}
		}
	}
	if w.isSticky {
		if p, err := w.openPolling(ctx, w.target.fresh, w.revision); err == nil {
			if _, err := w.join(ctx, p); err == nil {
				c.ended.Go(func() {
					defer p.close()
					c.note("a poll", w.stayIdle(ctx, p, c.length, p.send))
				})
			}
		}
	}
	return c
}

// stayIdle waits for length, answers the pings of revision 4 and sends those of revision
// 3, and makes a round trip at the end.
func (w *walk) stayIdle(ctx context.Context, c connection, length time.Duration, send func(context.Context, ...string) error) error {
	ctx, cancel := context.WithTimeout(ctx, length+answerTimeout)
	defer cancel()
	type read struct {
		packets []string
		err     error
	}
	reads := make(chan read) // unbuffered; the reader ends with its ctx
	var reader sync.WaitGroup
	defer reader.Wait()
	readCtx, stop := context.WithCancel(ctx)
	defer stop()
	reader.Go(func() {
		for {
			packets, err := c.receive(readCtx)
			select {
			case reads <- read{packets, err}:
			case <-readCtx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	})
	interval := time.Duration(w.open.PingInterval) * time.Millisecond
	ping := time.NewTimer(interval)
	defer ping.Stop()
	end := time.NewTimer(length)
	defer end.Stop()
	asked := false
	for {
		select {
		case r := <-reads:
			switch {
			case r.err != nil:
				return r.err
			case slices.Contains(r.packets, "1"):
				return errors.New("the server closed the session")
			case asked && hasEcho(r.packets):
				return nil
			case slices.Contains(r.packets, "2") && w.revision == 4:
				if err := send(ctx, "3"); err != nil {
					return err
				}
			}
		case <-ping.C:
			if w.revision == 3 {
				if err := send(ctx, "2"); err != nil {
					return err
				}
			}
		case <-end.C:
			asked = true
			if err := send(ctx, w.paddedConnect(0)...); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func hasEcho(packets []string) bool {
	return slices.ContainsFunc(packets, func(p string) bool {
		return len(p) > 2 && p[0] == '4' && (p[1] == '4' || p[1] == '0') && len(p) >= 2+len(strangerNamespace) &&
			p[2:2+len(strangerNamespace)] == strangerNamespace
	})
}

func (c *idleChecks) note(way string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.alive = append(c.alive, way)
		return
	}
	what := "ended"
	if refused, ok := errors.AsType[*statusError](err); ok {
		what = "got " + refused.Error()
		c.status = refused.answer
	}
	c.faults = append(c.faults, fmt.Sprintf("%s %s after %s", way, what, shortTime(time.Since(c.began))))
}

// finishIdle waits for the idle connections.
func (w *walk) finishIdle(ctx context.Context, c *idleChecks) {
	done := make(chan struct{})
	go func() { // ends with the checks, which end with ctx
		c.ended.Wait()
		close(done)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for waiting := true; waiting; {
		w.options.Progress(fmt.Sprintf("idle %d/%d s", int(time.Since(c.began).Seconds()), int(c.length.Seconds())))
		select {
		case <-done:
			waiting = false
		case <-tick.C:
		}
	}
	if ctx.Err() != nil && len(c.faults) > 0 {
		w.skip("idle", "pingInterval %d ms is too long for this walk", w.open.PingInterval)
		return
	}
	if c.status != nil {
		w.noticeHop(c.status.header, c.status.body)
	}
	slices.Sort(c.faults)
	slices.Sort(c.alive)
	switch {
	case len(c.faults) > 0:
		for _, name := range w.timedOut {
			w.skip(name, "met the time-out of a proxy")
		}
		w.fail("idle", faultIdle, "%s; the server is silent for pingInterval, %d ms", joinAnd(c.faults), w.open.PingInterval)
	case len(c.alive) > 0:
		w.ok("idle", "%s lasted for %s", joinAnd(c.alive), c.length)
	default:
		w.skip("idle", "needs polling or a WebSocket")
	}
}

// joinAnd joins words as a sentence does.
func joinAnd(words []string) string {
	text := words[0]
	for _, word := range words[1:] {
		text += " and " + word
	}
	return text
}

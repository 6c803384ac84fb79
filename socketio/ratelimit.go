package socketio

import (
	"context"
	"errors"
	"fmt"
	"time"

	"posthouse/socketio/parser"
)

// ErrRate is what every RateError is, for errors.Is.
var ErrRate = errors.New("socketio: too many events")

// RateError is what the functions of OnError get for each event that
// Limits.EventsPerSecond or Namespace.LimitEvents dropped.
type RateError struct {
	Event      string
	RetryAfter time.Duration // until the next event is taken
	Answered   bool          // the client asked for an acknowledgement and got the refusal in it
}

func (e *RateError) Error() string {
	return fmt.Sprintf("socketio: too many events: %q comes %v early", e.Event, e.RetryAfter)
}

// Is makes a RateError an ErrRate.
func (e *RateError) Is(target error) bool { return target == ErrRate }

// rateStrikes is how many times in a row a client may exceed its rate by a whole
// burst before it is disconnected (docs/reliability.md §4 row 17).
const rateStrikes = 3

// eventRate is how many events a socket may send. Immutable.
type eventRate struct {
	perSecond float64
	burst     int
}

// eventLimiter bounds the events of one socket. It judges them where they arrive:
// behind a slow handler, events that came at an honest pace stand close together.
// It is used by the goroutine that receives, which is one at a time.
type eventLimiter struct {
	rate         *eventRate
	bucket       tokenBucket
	droppedCount int // since the client last kept to its rate
}

// LimitEvents bounds the events that each socket of this namespace may send, in the
// place of Limits.EventsPerSecond; see there. perSecond 0 takes the bound off, a negative
// one puts that of the server back. It counts for sockets that connect later.
func (n *Namespace) LimitEvents(perSecond float64, burst int) {
	n.updateHandlers(func(h *sharedHandlers) {
		if h.eventRate = newEventRate(perSecond, burst); perSecond < 0 {
			h.eventRate = nil
		}
	})
}

// LimitEvents is as Namespace.LimitEvents, for all children that have no bound of their own.
func (p *ParentNamespace) LimitEvents(perSecond float64, burst int) {
	p.prototype.LimitEvents(perSecond, burst)
}

// newEventRate returns a rate; without a bound its perSecond is 0.
func newEventRate(perSecond float64, burst int) *eventRate {
	if perSecond <= 0 {
		return &eventRate{}
	}
	if burst <= 0 {
		burst = max(1, int(2*perSecond))
	}
	return &eventRate{perSecond, burst}
}

// newLimiter returns the limiter of a new socket, nil without a bound.
func (n *Namespace) newLimiter() *eventLimiter {
	rate := n.sharedHandlers.Load().eventRate
	if rate == nil && n.parent != nil {
		rate = n.parent.handlers().eventRate
	}
	if rate == nil {
		rate = n.server.eventRate
	}
	if rate.perSecond <= 0 {
		return nil
	}
	return &eventLimiter{rate: rate}
}

// limitEvents admits an event, or drops it: its acknowledgement, if asked for, is the
// refusal. A client that goes on and has three bursts dropped is disconnected with
// its connection.
func (s *Socket) limitEvents(p *parser.Packet) (admitted bool, err error) {
	l := s.eventLimiter
	wait, ok := l.bucket.takeToken(l.rate.perSecond, l.rate.burst)
	if ok {
		if l.bucket.tokensLeft > float64(l.rate.burst)/2 {
			l.droppedCount = 0 // the client has calmed down
		}
		return true, nil
	}
	strikes := rateStrikes * l.rate.burst
	if l.droppedCount++; l.droppedCount > strikes {
		// The end has begun. A handler that does not return holds it up no longer than for as
		// many events again.
		if l.droppedCount == 2*strikes {
			s.Disconnect(true)
		}
		return false, nil
	}
	if l.droppedCount == strikes {
		if suppressed, ok := s.ns.server.eventFloods.Allow(); ok {
			s.ns.server.log.Warn("socketio: connection closed: too many events", "namespace", s.ns.name,
				"dropped", l.droppedCount, "perSecond", l.rate.perSecond, "burst", l.rate.burst,
				"setting", "Limits.EventsPerSecond or Namespace.LimitEvents", "suppressed", suppressed)
		}
		// Behind the refusals that are queued: a flood that comes in one read is told of them.
		return false, s.queueReceived(&Event{taskKind: taskCall, socket: s, taskFunc: func() context.Context { s.Disconnect(true); return nil }})
	}
	e := newEvent(s, p)
	name, _ := parser.SplitEvent(e.valuesJSON)
	e.ackError(&EventError{Code: "rate_limited", Message: "too many events",
		Data: map[string]any{"retryAfter": int(wait/time.Second) + 1}})
	refused := &RateError{Event: string(name), RetryAfter: wait, Answered: e.wantsAck}
	return false, s.queueReceived(&Event{taskKind: taskCall, socket: s, taskFunc: func() context.Context { s.reportError(refused); return nil }})
}

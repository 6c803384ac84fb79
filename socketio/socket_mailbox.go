package socketio

import (
	"time"

	"posthouse/socketio/engineio"
)

// taskKind says what a queued Event is for: the mailbox is one queue, so that what
// happens to a socket happens in order.
type taskKind uint8

const (
	taskEvent   taskKind = iota // dispatch to the handlers
	taskCall                    // call Event.fn: the answer to an EmitAck
	taskConnect                 // Namespace.OnConnection; always the first
	taskClose                   // leave the namespace; always the last
)

// mailbox is the bounded FIFO of one socket. A caller that finds it without a
// goroutine starts one, which leaves when the queue is empty: an idle socket costs
// none. It is part of Socket and guarded by Socket.mu.
type mailbox struct {
	head, tail    *Event
	eventCount    int
	byteCount     int
	draining      bool
	readingPaused bool // the connection is not read because of this mailbox
}

// queueReceived queues what the client sent. A full mailbox answers engineio.ErrPause:
// the reader stops and TCP pushes back on the client.
func (s *Socket) queueReceived(e *Event) error {
	limits := &s.ns.server.options.Limits
	s.mu.Lock()
	if s.closeQueued {
		s.mu.Unlock()
		return nil
	}
	start := s.enqueueTask(e)
	limit := limits.Events
	if len(s.pendingAcks) > 0 {
		limit *= 16 // the handler may be waiting for an answer behind these
	}
	full := limits.Events >= 0 && s.mailbox.eventCount >= limit || exceeds(s.mailbox.byteCount, limits.EventBytes)
	if full {
		s.mailbox.readingPaused = true
	}
	s.mu.Unlock()
	if start {
		s.ns.server.workers.Go((*drain)(s))
	}
	if full {
		return engineio.ErrPause
	}
	return nil
}

// enqueueTask appends e; the caller holds s.mu and starts drain if told so.
func (s *Socket) enqueueTask(e *Event) (start bool) {
	if s.mailbox.tail == nil {
		s.mailbox.head = e
	} else {
		s.mailbox.tail.nextQueued = e
	}
	s.mailbox.tail = e
	s.mailbox.eventCount++
	s.mailbox.byteCount += len(e.valuesJSON)
	for _, a := range e.attachments {
		s.mailbox.byteCount += len(a)
	}
	start = !s.mailbox.draining
	s.mailbox.draining = true
	return start
}

// drain is a socket as a task: to empty its mailbox.
type drain Socket

// Run implements workers.Task.
func (d *drain) Run() { (*Socket)(d).drain() }

func (s *Socket) drain() {
	for {
		s.mu.Lock()
		e := s.mailbox.head
		if e == nil {
			s.mailbox.draining = false
			s.mu.Unlock()
			return
		}
		s.mailbox.head, e.nextQueued = e.nextQueued, nil
		if s.mailbox.head == nil {
			s.mailbox.tail = nil
		}
		s.mailbox.eventCount--
		s.mailbox.byteCount -= len(e.valuesJSON)
		for _, a := range e.attachments {
			s.mailbox.byteCount -= len(a)
		}
		if more := s.mailbox.head != nil; more != s.moreQueued.Load() {
			s.moreQueued.Store(more)
		}
		var l listeners
		if e.taskKind == taskEvent && s.listeners != nil {
			l = *s.listeners
		}
		resume := s.mailbox.readingPaused && s.mailbox.eventCount <= s.ns.server.options.Limits.Events/2
		if resume {
			s.mailbox.readingPaused = false
		}
		s.mu.Unlock()
		if resume {
			s.conn.engineSession.Resume()
		}
		s.performTask(e, &l)
	}
}

// performTask runs one task; l is for an event.
func (s *Socket) performTask(e *Event, l *listeners) {
	if e.taskKind == taskClose {
		e.taskFunc()
		return
	}
	defer s.endOnPanic()
	switch e.taskKind {
	case taskConnect:
		for _, fn := range s.ns.connectionHandlers() {
			fn(s)
		}
	case taskCall:
		e.taskFunc()
	case taskEvent:
		observed := s.ns.server.options.Observer.EventHandled
		if observed == nil {
			s.dispatchEvent(e, l)
			return
		}
		start := time.Now()
		s.dispatchEvent(e, l)
		s.runGuarded(func() { observed(e, start) })
	}
}

package socketio

import "posthouse/socketio/engineio"

// task says what a queued Event is for: the mailbox is one queue, so that what
// happens to a socket happens in order.
type task uint8

const (
	taskEvent   task = iota // dispatch to the handlers
	taskCall                // call Event.fn: the answer to an EmitAck
	taskConnect             // Namespace.OnConnection; always the first
	taskClose               // leave the namespace; always the last
)

// mailbox is the bounded FIFO of one socket. Whoever finds it without a
// goroutine starts one, which leaves when the queue is empty: an idle socket costs
// none. It is part of Socket and guarded by Socket.mu.
type mailbox struct {
	head, tail *Event
	count      int
	bytes      int
	draining   bool
	paused     bool // the connection is not read because of this mailbox
}

// post queues what the client sent. A full mailbox answers engineio.ErrPause:
// the reader stops and TCP pushes back on the client.
func (s *Socket) post(e *Event) error {
	limits := &s.ns.server.opts.Limits
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	start := s.enqueue(e)
	limit := limits.Events
	if len(s.acks) > 0 {
		limit *= 16 // the handler may be waiting for an answer behind these
	}
	full := limits.Events >= 0 && s.box.count >= limit || over(s.box.bytes, limits.EventBytes)
	if full {
		s.box.paused = true
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

// enqueue appends e; the caller holds s.mu and starts drain if told so.
func (s *Socket) enqueue(e *Event) (start bool) {
	if s.box.tail == nil {
		s.box.head = e
	} else {
		s.box.tail.next = e
	}
	s.box.tail = e
	s.box.count++
	s.box.bytes += len(e.list)
	for _, a := range e.attachments {
		s.box.bytes += len(a)
	}
	start = !s.box.draining
	s.box.draining = true
	return start
}

// drain is a socket as a task: to empty its mailbox.
type drain Socket

// Run implements workers.Task.
func (d *drain) Run() { (*Socket)(d).drain() }

func (s *Socket) drain() {
	for {
		s.mu.Lock()
		e := s.box.head
		if e == nil {
			s.box.draining = false
			s.mu.Unlock()
			return
		}
		s.box.head, e.next = e.next, nil
		if s.box.head == nil {
			s.box.tail = nil
		}
		s.box.count--
		s.box.bytes -= len(e.list)
		for _, a := range e.attachments {
			s.box.bytes -= len(a)
		}
		if more := s.box.head != nil; more != s.more.Load() {
			s.more.Store(more)
		}
		var l listeners
		if e.task == taskEvent && s.listeners != nil {
			l = *s.listeners
		}
		resume := s.box.paused && s.box.count <= s.ns.server.opts.Limits.Events/2
		if resume {
			s.box.paused = false
		}
		s.mu.Unlock()
		if resume {
			s.conn.session.Resume()
		}
		s.perform(e, &l)
	}
}

// perform runs one task; l is for an event.
func (s *Socket) perform(e *Event, l *listeners) {
	if e.task == taskClose {
		e.fn()
		return
	}
	defer s.endOnPanic()
	switch e.task {
	case taskConnect:
		for _, fn := range s.ns.connectionHandlers() {
			fn(s)
		}
	case taskCall:
		e.fn()
	case taskEvent:
		s.dispatch(e, l)
	}
}

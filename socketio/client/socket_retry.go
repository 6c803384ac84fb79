package client

import (
	"bytes"
	"errors"
	"slices"

	"posthouse/socketio"
	engine "posthouse/socketio/engineio/client"
	"posthouse/socketio/parser"
)

// queuedEmit is an event that is sent until it is acknowledged: Options.Retries.
type queuedEmit struct {
	data        []byte // ["event",args…]
	attachments [][]byte
	flags       sendFlags
	size        int
	tries       int
	isPending   bool        // sent, and the acknowledgement is waited for
	ack         *pendingAck // of the application, may be nil
}

// queueRetry puts an event behind those that are not acknowledged yet.
func (s *Socket) queueRetry(p *parser.Packet, f sendFlags, ack *pendingAck) error {
	q := &queuedEmit{data: bytes.Clone(p.Data), flags: f, ack: ack, size: eventCost + len(p.Data)}
	for _, a := range p.Attachments {
		q.attachments = append(q.attachments, bytes.Clone(a))
		q.size += len(a)
	}
	m := s.manager
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if s.retryBytes+q.size > m.opts.MaxBuffered {
		return ErrBufferFull
	}
	s.retryQueue = append(s.retryQueue, q)
	s.retryBytes += q.size
	s.drainRetriesLocked(false)
	return nil
}

// drainRetriesLocked sends the first event of the queue, unless it was and force is not
// set. One at a time: so their order stays.
func (s *Socket) drainRetriesLocked(force bool) {
	for s.connected && len(s.retryQueue) > 0 {
		q := s.retryQueue[0]
		if q.isPending && !force {
			return
		}
		err := s.tryLocked(q)
		if err == nil {
			q.isPending = true
			q.tries++
			return
		}
		if errors.Is(err, engine.ErrClosed) {
			return // lost, and not noticed yet: the next connection tries
		}
		s.finishRetryLocked(q, socketio.Args{}, err) // it can never be sent
	}
}

// tryLocked sends an event of the queue once.
func (s *Socket) tryLocked(q *queuedEmit) error {
	sc := getScratch()
	defer sc.backToPool()
	ack := s.newAck(nil)
	ack.done = func(args socketio.Args, err error) { s.triedLocked(q, args, err) }
	sc.packet = parser.Packet{Type: parser.Event, Namespace: s.namespace, ID: &ack.id, Data: q.data, Attachments: q.attachments}
	if err := s.manager.encode(sc); err != nil {
		return err
	}
	if err := s.addAckLocked(ack, q.flags.timeout); err != nil {
		return err
	}
	err := s.manager.link.conn.Send(sc.messages...)
	if err != nil {
		s.takeAckLocked(ack.id)
	}
	return err
}

// triedLocked takes the outcome of one try.
func (s *Socket) triedLocked(q *queuedEmit, args socketio.Args, err error) {
	if len(s.retryQueue) == 0 || s.retryQueue[0] != q {
		return // acknowledged before, or given up
	}
	q.isPending = false
	if err == nil || q.tries > s.manager.opts.Retries {
		s.finishRetryLocked(q, args, err)
	}
	s.drainRetriesLocked(false)
}

// finishRetryLocked takes the first event off the queue.
func (s *Socket) finishRetryLocked(q *queuedEmit, args socketio.Args, err error) {
	s.retryQueue = slices.Delete(s.retryQueue, 0, 1)
	s.retryBytes -= q.size
	if err != nil {
		s.manager.opts.Logger.Warn("socketio client: event given up (Options.Retries)",
			"namespace", s.namespace, "tries", q.tries, "error", err)
	}
	if q.ack != nil {
		q.ack.done(args, err)
	}
}

// giveUpRetry drops an event whose sender waits no more.
func (s *Socket) giveUpRetry(ack *pendingAck) {
	s.manager.mu.Lock()
	defer s.manager.mu.Unlock()
	i := slices.IndexFunc(s.retryQueue, func(q *queuedEmit) bool { return q.ack == ack })
	if i < 0 {
		return
	}
	s.retryBytes -= s.retryQueue[i].size
	s.retryQueue = slices.Delete(s.retryQueue, i, i+1)
	s.drainRetriesLocked(false)
}

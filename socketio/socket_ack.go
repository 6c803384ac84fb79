package socketio

import (
	"context"
	"errors"
	"time"
)

// ackFunc receives an acknowledgement, or the error that ends the wait for it.
// It is called once, on the goroutine that reads the connection or ends the
// socket, and must not block.
type ackFunc func(Args, error)

// addAck registers an acknowledgement under the next id of the namespace (one
// counter for all sockets, docs/protocol.md §3.5).
func (s *Socket) addAck(id uint64, fn ackFunc) error {
	var evicted ackFunc
	s.mu.Lock()
	if s.closeQueued {
		s.mu.Unlock()
		return ErrDisconnected
	}
	if s.pendingAcks == nil {
		s.pendingAcks = make(map[uint64]ackFunc, 1)
	}
	if exceeds(len(s.pendingAcks)+1, s.ns.server.options.Limits.Acks) {
		oldest := id
		for other := range s.pendingAcks {
			oldest = min(oldest, other) // ids only grow
		}
		evicted = s.pendingAcks[oldest]
		delete(s.pendingAcks, oldest)
	}
	s.pendingAcks[id] = fn
	s.mu.Unlock()
	if evicted != nil {
		evicted(Args{}, ErrTimeout)
	}
	return nil
}

// removeAck removes and returns a pending acknowledgement, nil when there is none:
// unknown, answered before or too late.
func (s *Socket) removeAck(id uint64) ackFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.pendingAcks[id]
	delete(s.pendingAcks, id)
	if len(s.pendingAcks) == 0 {
		s.pendingAcks = nil
	}
	return fn
}

// withDeadline bounds ctx by the timeout of an emit, or by the server's
// default when nothing else does.
func (s *Server) withDeadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		if _, ok := ctx.Deadline(); ok || s.options.Limits.AckTimeout < 0 {
			return ctx, func() {}
		}
		timeout = s.options.Limits.AckTimeout
	}
	return context.WithTimeout(ctx, timeout)
}

// waitError is the error of an ended wait.
func waitError(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return ErrTimeout
	}
	return err
}

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

// expect registers an acknowledgement under the next id of the namespace (one
// counter for all sockets, docs/protocol.md §3.5).
func (s *Socket) expect(id uint64, fn ackFunc) error {
	var evicted ackFunc
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return ErrDisconnected
	}
	if s.acks == nil {
		s.acks = make(map[uint64]ackFunc, 1)
	}
	if over(len(s.acks)+1, s.ns.server.opts.Limits.Acks) {
		oldest := id
		for other := range s.acks {
			oldest = min(oldest, other) // ids only grow
		}
		evicted = s.acks[oldest]
		delete(s.acks, oldest)
	}
	s.acks[id] = fn
	s.mu.Unlock()
	if evicted != nil {
		evicted(Args{}, ErrTimeout)
	}
	return nil
}

// take removes and returns a pending acknowledgement, nil when there is none:
// unknown, answered before or too late.
func (s *Socket) take(id uint64) ackFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn := s.acks[id]
	delete(s.acks, id)
	if len(s.acks) == 0 {
		s.acks = nil
	}
	return fn
}

// withDeadline bounds ctx by the timeout of an emit, or by the server's
// default when nothing else does.
func (s *Server) withDeadline(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	if timeout <= 0 {
		if _, ok := ctx.Deadline(); ok || s.opts.Limits.AckTimeout < 0 {
			return ctx, func() {}
		}
		timeout = s.opts.Limits.AckTimeout
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

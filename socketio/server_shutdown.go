package socketio

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// Shutdown refuses new clients, disconnects all sockets (reason
// ReasonServerShutdown), waits until their handlers have come to an end, and
// closes the engine and the adapters. When ctx ends first it returns what is
// missing, and everything is closed all the same. It is idempotent; the HTTP server
// is its owner's to stop, before or afterwards (see Serve).
func (s *Server) Shutdown(ctx context.Context) error {
	s.engineServer.Drain()
	s.closing.Store(true)
	s.mu.Lock()
	again := s.shutdownCalled
	s.shutdownCalled = true
	s.mu.Unlock()
	if again {
		return s.liveTasks.Wait(ctx)
	}
	errs := []error{s.engineServer.Shutdown(ctx), s.liveTasks.Wait(ctx)} // which calls endSockets
	for _, n := range s.listNamespaces() {
		errs = append(errs, n.adapter.Close())
	}
	s.stop(ErrClosed)
	s.workers.Close()
	return errors.Join(errs...)
}

// endSockets disconnects all sockets. The engine calls it before it ends the
// sessions, also when the http.Server that Serve serves is shut down.
func (s *Server) endSockets() {
	s.engineServer.Drain()
	s.closing.Store(true)
	for _, n := range s.listNamespaces() {
		for s := range n.Sockets() {
			s.startClose(ReasonServerShutdown, nil)
		}
	}
}

// Drain refuses new clients with 503 and Retry-After, and closes the connections that exist one after the
// other, in random order and evenly over the given time, so that they do not
// all come back to another replica at once. It returns early when ctx ends.
// Shutdown comes afterwards.
func (s *Server) Drain(ctx context.Context, over time.Duration) error {
	s.engineServer.Drain()
	s.closing.Store(true)
	seen := map[*conn]bool{}
	var conns []*conn
	for _, n := range s.listNamespaces() {
		for s := range n.Sockets() {
			if !seen[s.conn] {
				seen[s.conn] = true
				conns = append(conns, s.conn)
			}
		}
	}
	if len(conns) == 0 {
		return nil
	}
	rand.Shuffle(len(conns), func(i, j int) { conns[i], conns[j] = conns[j], conns[i] })
	timer := time.NewTimer(0)
	defer timer.Stop()
	start := time.Now()
	for i, c := range conns {
		timer.Reset(time.Until(start.Add(over * time.Duration(i) / time.Duration(len(conns)))))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, s := range c.listSockets() {
			s.startClose(ReasonServerShutdown, nil)
		}
		c.engineSession.Close()
	}
	return nil
}

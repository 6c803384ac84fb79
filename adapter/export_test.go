package adapter

import (
	"context"
	"time"

	"posthouse/socketio"
)

// HeldPolls tells how many polls of this replica's sessions others relay now.
func HeldPolls(r *Relay) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.heldPolls)
}

// WaitForMarks has clients of the adapter a wait longer for their end than any test takes.
func WaitForMarks(a socketio.Adapter) {
	log := logOf(a)
	log.ended.mu.Lock()
	log.ended.patience = time.Hour
	log.ended.mu.Unlock()
}

// WriteMarks writes the marks that the adapter a has waiting.
func WriteMarks(ctx context.Context, a socketio.Adapter) error { return logOf(a).marks.flush(ctx) }

func logOf(a socketio.Adapter) *recoveryLog {
	switch a := a.(type) {
	case *Streams:
		return a.recoveryLog
	case *loggedClassic:
		return a.eventLog.recoveryLog
	case *loggedSharded:
		return a.eventLog.recoveryLog
	}
	return nil
}

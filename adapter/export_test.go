package adapter

import (
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
	var log *recoveryLog
	switch a := a.(type) {
	case *Streams:
		log = a.recoveryLog
	case *loggedClassic:
		log = a.eventLog.recoveryLog
	case *loggedSharded:
		log = a.eventLog.recoveryLog
	}
	log.ended.mu.Lock()
	log.ended.patience = time.Hour
	log.ended.mu.Unlock()
}

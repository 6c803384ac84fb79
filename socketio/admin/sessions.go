package admin

import (
	"context"
	"sync"
	"time"
)

// SessionStore keeps the ids of sessions, which stand for the password until they expire.
// Its methods are called by several goroutines.
type SessionStore interface {
	// Save makes an id known for SessionLife.
	Save(ctx context.Context, id string) error
	// Has reports whether an id is known.
	Has(ctx context.Context, id string) (bool, error)
}

// SessionLife is how long a session lasts after its log-in.
const SessionLife = 24 * time.Hour

// maxSessions bounds the sessions in memory; the oldest is forgotten for a new one.
const maxSessions = 1000

// memoryStore is the SessionStore of a single node.
type memoryStore struct {
	mu      sync.Mutex // guards what follows
	expires map[string]time.Time
}

func newMemoryStore() *memoryStore { return &memoryStore{expires: map[string]time.Time{}} }

func (m *memoryStore) Save(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	oldest := id
	m.expires[id] = now.Add(SessionLife)
	for other, at := range m.expires {
		if now.After(at) {
			delete(m.expires, other)
		} else if at.Before(m.expires[oldest]) {
			oldest = other
		}
	}
	if len(m.expires) > maxSessions {
		delete(m.expires, oldest)
	}
	return nil
}

func (m *memoryStore) Has(_ context.Context, id string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.expires[id]
	return ok && time.Now().Before(at), nil
}

package oidc

import (
	"context"
	"sync"
	"time"
)

// maxMemory is how many records a Memory holds: some 100 MB of sign-ins.
const maxMemory = 100_000

// Memory is a Store for one process. Safe for concurrent use.
type Memory struct {
	mu      sync.Mutex // guards what follows
	entries map[string]memoryEntry
	marks   map[string]memoryMark
	sweptAt time.Time
	most    int
}

type memoryEntry struct {
	data    []byte
	version int64
	endsAt  time.Time
}

type memoryMark struct{ at, endsAt time.Time }

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{entries: map[string]memoryEntry{}, marks: map[string]memoryMark{}, most: maxMemory}
}

// Load implements Store.
func (m *Memory) Load(_ context.Context, key string) (Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	e, ok := m.entries[key]
	if !ok || !now.Before(e.endsAt) {
		return Entry{Now: now}, nil
	}
	return Entry{Data: e.data, Version: e.version, Now: now}, nil
}

// Save implements Store.
func (m *Memory) Save(_ context.Context, key string, data []byte, version int64, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	e, ok := m.entries[key]
	if ok && !now.Before(e.endsAt) {
		e = memoryEntry{}
	}
	if e.version != version {
		return ErrConflict
	}
	if !ok && !m.hasRoomLocked(now) {
		return ErrFull
	}
	m.entries[key] = memoryEntry{data, version + 1, now.Add(life)}
	return nil
}

// Delete implements Store.
func (m *Memory) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
	return nil
}

// Mark implements Store.
func (m *Memory) Mark(_ context.Context, key string, at time.Time, life time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if at.IsZero() {
		at = now
	}
	old, ok := m.marks[key]
	if !ok && !m.hasRoomLocked(now) {
		return ErrFull
	}
	if at.Before(old.at) {
		at = old.at
	}
	m.marks[key] = memoryMark{at, now.Add(life)}
	return nil
}

// Marks implements Store.
func (m *Memory) Marks(_ context.Context, keys ...string) ([]time.Time, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := make([]time.Time, len(keys))
	for i, key := range keys {
		if mark := m.marks[key]; time.Now().Before(mark.endsAt) {
			times[i] = mark.at
		}
	}
	return times, nil
}

// hasRoomLocked makes room for one more by forgetting what has ended, once a minute or
// when the store is full, and then once a second.
func (m *Memory) hasRoomLocked(now time.Time) bool {
	full := len(m.entries)+len(m.marks) >= m.most
	if pause := now.Sub(m.sweptAt); pause > time.Minute || full && pause > time.Second {
		m.sweptAt = now
		for key, e := range m.entries {
			if !now.Before(e.endsAt) {
				delete(m.entries, key)
			}
		}
		for key, mark := range m.marks {
			if !now.Before(mark.endsAt) {
				delete(m.marks, key)
			}
		}
		full = len(m.entries)+len(m.marks) >= m.most
	}
	return !full
}

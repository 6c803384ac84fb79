package login

import "time"

// expiring is a bounded map whose entries have an end. It needs no goroutine:
// every put looks at a few entries and drops those that are over, and a full map
// is swept as a whole before a put is refused. Not safe for concurrent use.
type expiring[V any] struct {
	maxEntries int
	entries    map[string]expiringEntry[V]
}

type expiringEntry[V any] struct {
	value     V
	expiresAt time.Time
}

func newExpiring[V any](max int) *expiring[V] {
	return &expiring[V]{maxEntries: max, entries: make(map[string]expiringEntry[V])}
}

func (m *expiring[V]) get(now time.Time, key string) (V, bool) {
	e, ok := m.entries[key]
	if !ok || !now.Before(e.expiresAt) {
		var zero V
		return zero, false
	}
	return e.value, true
}

// put reports false when the map is full of live entries.
func (m *expiring[V]) put(now time.Time, key string, value V, gone time.Time) bool {
	m.sweepSome(now, 8) // more than one per put: the dead shrink faster than the living grow
	if _, ok := m.entries[key]; !ok && len(m.entries) >= m.maxEntries {
		m.sweepSome(now, len(m.entries))
		if len(m.entries) >= m.maxEntries {
			return false
		}
	}
	m.entries[key] = expiringEntry[V]{value, gone}
	return true
}

// extendTo lets an entry live until gone, and no shorter than before.
func (m *expiring[V]) extendTo(key string, gone time.Time) {
	if e, ok := m.entries[key]; ok && e.expiresAt.Before(gone) {
		e.expiresAt = gone
		m.entries[key] = e
	}
}

// liveKeys lists keys, at most so many, in no order.
func (m *expiring[V]) liveKeys(now time.Time, most int) (keys []string) {
	for key, e := range m.entries {
		if len(keys) == most {
			break
		}
		if now.Before(e.expiresAt) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (m *expiring[V]) drop(key string) { delete(m.entries, key) }

// sweepSome looks at n entries, in the map's random order.
func (m *expiring[V]) sweepSome(now time.Time, n int) {
	for key, e := range m.entries {
		if n--; n < 0 {
			return
		}
		if !now.Before(e.expiresAt) {
			delete(m.entries, key)
		}
	}
}

package login

import (
	"context"
	"time"
)

// memoryMarks is what is remembered of one person: until when.
type memoryMarks struct {
	networks, browsers map[string]time.Time
	logins             map[string]time.Time
}

// Weigh implements Store.
func (m *Memory) Weigh(_ context.Context, appID, openID string, k Marks) (Unusual, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, key := time.Now(), person(appID, openID)
	p, ok := m.marks.get(now, key)
	if !ok {
		p = &memoryMarks{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}}
		if !m.marks.put(now, key, p, now.Add(oftenTime)) {
			return "", errFull
		}
	}
	for login, ends := range p.logins {
		if !now.Before(ends) {
			delete(p.logins, login)
		}
	}
	if _, counted := p.logins[k.Ticket]; !counted {
		if len(p.logins) >= maxOften {
			return UnusualOften, nil
		}
		p.logins[k.Ticket] = now.Add(oftenTime)
	}
	m.marks.extend(key, now.Add(oftenTime))
	switch {
	case !now.Before(p.networks[k.Network]):
		return UnusualNetwork, nil
	case !now.Before(p.browsers[k.Browser]):
		return UnusualBrowser, nil
	}
	return "", nil
}

// Trust implements Store.
func (m *Memory) Trust(_ context.Context, appID, openID string, k Marks) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, key := time.Now(), person(appID, openID)
	p, ok := m.marks.get(now, key)
	if !ok { // forgotten meanwhile
		return nil
	}
	remember(p.networks, k.Network, now.Add(markLife))
	remember(p.browsers, k.Browser, now.Add(markLife))
	m.marks.extend(key, now.Add(markLife))
	return nil
}

func remember(marks map[string]time.Time, mark string, ends time.Time) {
	if mark == "" {
		return
	}
	marks[mark] = ends
	if len(marks) <= maxMarks {
		return
	}
	oldest := mark
	for m, e := range marks {
		if e.Before(marks[oldest]) {
			oldest = m
		}
	}
	delete(marks, oldest)
}

// Distrust implements Store.
func (m *Memory) Distrust(_ context.Context, appID, openID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks.drop(person(appID, openID))
	return nil
}

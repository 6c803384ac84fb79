package login

import (
	"context"
	"time"
)

// memoryMarks is what is remembered of one person: until when.
type memoryMarks struct {
	networks, browsers map[string]time.Time
	loginTimes         map[string]time.Time
}

// AssessRisk implements Store.
func (m *Memory) AssessRisk(_ context.Context, appID, openID string, k Marks) (Unusual, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, key := time.Now(), personKey(appID, openID)
	p, ok := m.marks.get(now, key)
	if !ok {
		p = &memoryMarks{map[string]time.Time{}, map[string]time.Time{}, map[string]time.Time{}}
		if !m.marks.put(now, key, p, now.Add(oftenTime)) {
			return "", errFull
		}
	}
	for login, ends := range p.loginTimes {
		if !now.Before(ends) {
			delete(p.loginTimes, login)
		}
	}
	if _, counted := p.loginTimes[k.Ticket]; !counted {
		if len(p.loginTimes) >= maxOften {
			return UnusualOften, nil
		}
		p.loginTimes[k.Ticket] = now.Add(oftenTime)
	}
	m.marks.extendTo(key, now.Add(oftenTime))
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
	now, key := time.Now(), personKey(appID, openID)
	p, ok := m.marks.get(now, key)
	if !ok { // forgotten meanwhile
		return nil
	}
	rememberMark(p.networks, k.Network, now.Add(markLife))
	rememberMark(p.browsers, k.Browser, now.Add(markLife))
	m.marks.extendTo(key, now.Add(markLife))
	return nil
}

func rememberMark(marks map[string]time.Time, mark string, ends time.Time) {
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
	m.marks.drop(personKey(appID, openID))
	return nil
}

package login

import (
	"context"
	"crypto/subtle"
	"time"
)

// PutCode implements Store.
func (m *Memory) PutCode(_ context.Context, id, codeHash string, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok || r.State != Done || r.Challenge == "" || r.Exchanged || r.Revoked {
		return ErrUnauthorized
	}
	ends := now.Add(ttl)
	// The index outlives the code: a spent one may be repeated for a while.
	if !m.byCode.put(now, codeHash, id, ends.Add(repeatTime)) {
		return errFull
	}
	m.byCode.drop(r.code)
	r.code, r.codeEnds, r.codeTries = codeHash, ends, 0
	return nil
}

// Exchange implements Store.
func (m *Memory) Exchange(_ context.Context, codeHash, challenge string) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	id, _ := m.byCode.get(now, codeHash)
	r, ok := m.tickets.get(now, id)
	if !ok || r.code != codeHash || r.Revoked {
		return Ticket{}, ErrUnauthorized
	}
	if subtle.ConstantTimeCompare([]byte(r.Challenge), []byte(challenge)) != 1 {
		if r.codeTries++; r.codeTries >= wrongVerifiers {
			m.byCode.drop(r.code)
			r.code = ""
		}
		return Ticket{}, ErrUnauthorized
	}
	switch {
	case r.Exchanged && now.After(r.exchangedAt.Add(repeatTime)), !r.Exchanged && now.After(r.codeEnds):
		return Ticket{}, ErrUnauthorized
	case r.Exchanged:
		return r.answer(now, false), nil
	}
	r.Exchanged, r.exchangedAt = true, now
	r.Ticket.Delivered = true
	return r.answer(now, false), nil
}

// Once implements Store.
func (m *Memory) Once(_ context.Context, key string, lease time.Duration) (WebhookStage, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if e, ok := m.events.get(now, key); ok {
		if e.done {
			return StageDone, e.reply, nil
		}
		return StageProcessing, nil, nil
	}
	until := now.Add(lease)
	if !m.events.put(now, key, memoryEvent{}, until) {
		return 0, nil, errFull
	}
	return StageFirst, nil, nil
}

// Finish implements Store.
func (m *Memory) Finish(_ context.Context, key string, reply []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.events.put(now, key, memoryEvent{done: true, reply: append([]byte(nil), reply...)}, now.Add(ttl)) {
		return errFull
	}
	return nil
}

// Revoke implements Store.
func (m *Memory) Revoke(_ context.Context, id, openID string, ttl time.Duration) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok || r.State != Done || r.OpenID != openID {
		return Ticket{}, ErrUnauthorized
	}
	if !m.revoked.put(now, r.JTI, struct{}{}, now.Add(ttl)) {
		return Ticket{}, errFull
	}
	r.Ticket.Revoked = true
	return r.answer(now, false), nil
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, appID, openID string, ttl time.Duration) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	id, _ := m.byPerson.get(now, person(appID, openID))
	r, ok := m.tickets.get(now, id)
	if !ok || r.OpenID != openID {
		return Ticket{}, ErrUnauthorized
	}
	moved := r.State == Claimed
	switch r.State {
	case Claimed:
		r.State, r.Reason = Denied, "left"
	case Done:
		if !m.revoked.put(now, r.JTI, struct{}{}, now.Add(ttl)) {
			return Ticket{}, errFull
		}
		r.Ticket.Revoked = true
	}
	m.byPerson.drop(person(appID, openID))
	r.OpenID, r.UnionID = forgotten, ""
	return r.answer(now, moved), nil
}

// Revoked implements Store.
func (m *Memory) Revoked(_ context.Context, most int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revoked.live(time.Now(), most), nil
}

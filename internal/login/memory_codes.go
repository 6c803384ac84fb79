package login

import (
	"context"
	"crypto/subtle"
	"slices"
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
	m.byCode.drop(r.codeHash)
	r.codeHash, r.codeEnds, r.codeTries = codeHash, ends, 0
	return nil
}

// Exchange implements Store.
func (m *Memory) Exchange(_ context.Context, codeHash, challenge string) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	id, _ := m.byCode.get(now, codeHash)
	r, ok := m.tickets.get(now, id)
	if !ok || r.codeHash != codeHash || r.Revoked {
		return Ticket{}, ErrUnauthorized
	}
	if subtle.ConstantTimeCompare([]byte(r.Challenge), []byte(challenge)) != 1 {
		if r.codeTries++; r.codeTries >= wrongVerifiers {
			m.byCode.drop(r.codeHash)
			r.codeHash = ""
		}
		return Ticket{}, ErrUnauthorized
	}
	switch {
	case r.Exchanged && now.After(r.exchangedAt.Add(repeatTime)), !r.Exchanged && now.After(r.codeEnds):
		return Ticket{}, ErrUnauthorized
	case r.Exchanged:
		return r.answerTicket(now, false), nil
	}
	r.Exchanged, r.exchangedAt = true, now
	r.Ticket.Delivered = true
	return r.answerTicket(now, false), nil
}

// Once implements callback.Dedupe.
func (m *Memory) Once(_ context.Context, key string, lease time.Duration) (WebhookStage, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if e, ok := m.webhookEvents.get(now, key); ok {
		if e.isDone {
			return StageDone, e.reply, nil
		}
		return StageProcessing, nil, nil
	}
	until := now.Add(lease)
	if !m.webhookEvents.put(now, key, memoryEvent{}, until) {
		return 0, nil, errFull
	}
	return StageFirst, nil, nil
}

// Finish implements callback.Dedupe.
func (m *Memory) Finish(_ context.Context, key string, reply []byte, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if !m.webhookEvents.put(now, key, memoryEvent{isDone: true, reply: append([]byte(nil), reply...)}, now.Add(ttl)) {
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
	if !m.revokedTokens.put(now, r.JTI, struct{}{}, now.Add(ttl)) {
		return Ticket{}, errFull
	}
	r.Ticket.Revoked = true
	return r.answerTicket(now, false), nil
}

// memoryToken is a token that may be out there until its end.
type memoryToken struct {
	knownToken
	endsAt time.Time
}

// knownToken is a token of a person: its jti, its ticket, and when the person claimed
// it by WeChat's clock.
type knownToken struct {
	tokenID, ticket string
	eventTime       time.Time
}

func (t knownToken) known() knownToken { return t }

// latestToken is the token of the latest claim no later than at.
func latestToken[T interface{ known() knownToken }](tokens []T, at time.Time) (found T, ok bool) {
	for _, t := range tokens {
		if !isNewer(t.known().eventTime, at) && (!ok || !t.known().eventTime.Before(found.known().eventTime)) {
			found, ok = t, true
		}
	}
	return found, ok
}

// noteToken remembers the token that a claimed ticket is for.
func (m *Memory) noteToken(now time.Time, person string, t Ticket, life time.Duration) bool {
	known, _ := m.byTokens.get(now, person)
	known = append(slices.Clone(known), memoryToken{knownToken{t.JTI, t.ID, t.EventAt}, t.tokenEnds(now, life)})
	known = known[max(0, len(known)-maxTokens):]
	return m.byTokens.put(now, person, known, known[len(known)-1].endsAt)
}

// takeBack lists a token as revoked.
func (m *Memory) takeBack(now time.Time, jti string, ends time.Time) error {
	if !m.revokedTokens.put(now, jti, struct{}{}, ends) {
		return errFull
	}
	return nil
}

// RevokeLatest implements Store.
func (m *Memory) RevokeLatest(_ context.Context, appID, openID string, at time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	known, _ := m.byTokens.get(now, personKey(appID, openID))
	token, ok := latestToken(known, at)
	if !ok {
		return false, nil
	}
	return true, m.takeBack(now, token.tokenID, token.endsAt)
}

// Forget implements Store.
func (m *Memory) Forget(_ context.Context, appID, openID string, at time.Time) (tickets []Ticket, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, key := time.Now(), personKey(appID, openID)
	if at.IsZero() {
		at = eventTime(now)
	}
	if left, ok := m.leftAt.get(now, key); !ok || left.Before(at) {
		if !m.leftAt.put(now, key, at, now.Add(leftTime)) {
			return nil, errFull
		}
	}
	last, _ := m.byPerson.get(now, key)
	known, _ := m.byTokens.get(now, key)
	var stay []memoryToken
	for _, token := range known {
		if isNewer(token.eventTime, at) {
			stay = append(stay, token)
			continue
		}
		if token.ticket == last {
			m.byPerson.drop(key)
		}
		r, ok := m.tickets.get(now, token.ticket)
		if !ok {
			if err := m.takeBack(now, token.tokenID, token.endsAt); err != nil {
				return nil, err
			}
			continue
		}
		moved := r.State == Claimed
		switch r.State {
		case Claimed:
			r.State, r.Reason = Denied, "left"
		case Done:
			if err := m.takeBack(now, token.tokenID, token.endsAt); err != nil {
				return nil, err
			}
			r.Ticket.Revoked = true
		}
		r.OpenID, r.UnionID = forgotten, ""
		tickets = append(tickets, r.answerTicket(now, moved))
	}
	m.byTokens.drop(key)
	if len(stay) > 0 {
		m.byTokens.put(now, key, stay, stay[len(stay)-1].endsAt) // one was dropped: there is room
	}
	return tickets, nil
}

// Revoked implements Store.
func (m *Memory) Revoked(_ context.Context, most int) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.revokedTokens.liveKeys(time.Now(), most), nil
}

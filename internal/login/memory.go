package login

import (
	"context"
	"crypto/subtle"
	"fmt"
	"sync"
	"time"
)

// maxTickets is how many tickets a Memory store keeps at once, ended ones included
// until they are forgotten. One more is refused with ErrStoreUnavailable.
const maxTickets = 100_000

// Memory keeps tickets in this process: for one replica and for tests. It is
// safe for concurrent use and starts no goroutine.
type Memory struct {
	mu            sync.Mutex // guards all below; held only for the length of one step
	tickets       *expiring[*memoryTicket]
	byWeChat      *expiring[string]        // WeChat's ticket → id
	byCode        *expiring[string]        // hash of a one-time code → id
	byPerson      *expiring[string]        // appid and openid → id claimed last
	byTokens      *expiring[[]memoryToken] // appid and openid → tokens, the latest last
	marks         *expiring[*memoryMarks]  // appid and openid → how they log in
	leftAt        *expiring[time.Time]     // appid and openid → when the person left
	revokedTokens *expiring[struct{}]
	webhookEvents *expiring[memoryEvent]
}

var _ Store = (*Memory)(nil)

type memoryTicket struct {
	Ticket
	goneAt      time.Time
	codeHash    string // hash of the live one-time code
	codeEnds    time.Time
	codeTries   int
	exchangedAt time.Time
}

type memoryEvent struct {
	isDone bool
	reply  []byte
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return newMemory(maxTickets) }

func newMemory(max int) *Memory {
	return &Memory{
		tickets:       newExpiring[*memoryTicket](max),
		byWeChat:      newExpiring[string](max),
		byCode:        newExpiring[string](2 * max),
		byPerson:      newExpiring[string](max),
		byTokens:      newExpiring[[]memoryToken](max),
		marks:         newExpiring[*memoryMarks](max),
		leftAt:        newExpiring[time.Time](max),
		revokedTokens: newExpiring[struct{}](max),
		webhookEvents: newExpiring[memoryEvent](4 * max),
	}
}

var errFull = fmt.Errorf("%w: memory is full", ErrStoreUnavailable)

// Create implements Store.
func (m *Memory) Create(_ context.Context, t Ticket, ttl time.Duration) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if _, ok := m.tickets.get(now, t.ID); ok {
		return Ticket{}, ErrExists
	}
	t = newTicket(t)
	t.CreatedAt, t.ExpiresAt = now, now.Add(ttl)
	r := &memoryTicket{Ticket: t, goneAt: t.ExpiresAt.Add(Grace + tail)}
	if !m.tickets.put(now, t.ID, r, r.goneAt) {
		return Ticket{}, errFull
	}
	if t.WeChat != "" && !m.byWeChat.put(now, t.WeChat, t.ID, r.goneAt) {
		m.tickets.drop(t.ID)
		return Ticket{}, errFull
	}
	return r.answerTicket(now, true), nil
}

// newTicket keeps of t what its creator decides.
func newTicket(t Ticket) Ticket {
	return Ticket{
		ID: t.ID, WeChat: t.WeChat, Account: t.Account, AppID: t.AppID, State: Waiting,
		SocketID: t.SocketID, Raw: t.Raw, ResumeHash: t.ResumeHash, Challenge: t.Challenge, Context: t.Context, Number: t.Number,
		Browser: t.Browser, Agent: t.Agent, Network: t.Network, URL: t.URL, ImageURL: t.ImageURL, Trace: t.Trace,
	}
}

// Resume implements Store.
func (m *Memory) Resume(_ context.Context, wechatTicket, resumeHash, socketID string, raw bool) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	id, _ := m.byWeChat.get(now, wechatTicket)
	r, ok := m.tickets.get(now, id)
	if !ok || subtle.ConstantTimeCompare([]byte(r.ResumeHash), []byte(resumeHash)) != 1 {
		return Ticket{}, ErrUnauthorized
	}
	before := r.SocketID
	r.SocketID, r.Raw = socketID, raw
	t := r.answerTicket(now, false)
	t.Before = before
	return t, nil
}

// Unbind implements Store.
func (m *Memory) Unbind(_ context.Context, id, socketID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.tickets.get(time.Now(), id); ok && r.SocketID == socketID {
		r.SocketID = ""
	}
	return nil
}

// Claim implements Store.
func (m *Memory) Claim(_ context.Context, c Claim) (Ticket, Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, c.Scene)
	if !ok {
		id, _ := m.byWeChat.get(now, c.WeChat)
		if r, ok = m.tickets.get(now, id); !ok {
			return Ticket{Now: now}, OutcomeUnknown, nil
		}
	}
	arrived := now.Add(-c.arrivalAge())
	if c.EventAt.IsZero() {
		c.EventAt = eventTime(arrived)
	}
	if left, ok := m.leftAt.get(now, personKey(c.AppID, c.OpenID)); ok && c.EventAt.Before(left) {
		return r.answerTicket(now, false), OutcomeLeft, nil
	}
	outcome, moved := r.applyClaim(now, arrived, c)
	if outcome == OutcomeClaimed || outcome == OutcomeSame {
		m.tickets.put(now, r.ID, r, r.goneAt)
		if r.WeChat != "" {
			m.byWeChat.put(now, r.WeChat, r.ID, r.goneAt)
		}
		m.byPerson.put(now, personKey(c.AppID, c.OpenID), r.ID, r.goneAt) // never full: one per ticket at most
		if moved && !m.noteToken(now, personKey(c.AppID, c.OpenID), r.Ticket, c.Life) {
			return Ticket{}, "", errFull
		}
	}
	return r.answerTicket(now, moved), outcome, nil
}

// applyClaim is the rule of docs/wechat.md §3.2; arrived is when the event reached us.
func (r *memoryTicket) applyClaim(now, arrived time.Time, c Claim) (o Outcome, moved bool) {
	switch {
	case r.AppID != c.AppID:
		return OutcomeForeign, false
	case r.State == Waiting, r.State == Expired && r.OpenID == "":
		if arrived.After(r.ExpiresAt.Add(Grace)) {
			if moved = r.State == Waiting; moved {
				r.State, r.Reason = Expired, "late"
			}
			return OutcomeExpired, moved
		}
		r.OpenID, r.UnionID, r.JTI, r.IssuedAt, r.EventAt = c.OpenID, c.UnionID, newJTI(), now, c.EventAt
		r.Unioned = c.UnionID != ""
		r.State, r.Reason = Done, "scan"
		r.Risk = c.Risk
		if c.Confirm || c.Risk {
			r.State, r.Reason = Claimed, ""
			r.ExpiresAt = laterOf(r.ExpiresAt, now.Add(confirmTime))
		}
		r.goneAt = laterOf(r.goneAt, laterOf(r.ExpiresAt.Add(Grace), now).Add(tail))
		return OutcomeClaimed, true
	case r.State == Expired:
		return OutcomeExpired, false
	case r.State == Replaced:
		return OutcomeReplaced, false
	case r.State == Cancelled:
		return OutcomeCancelled, false
	case r.State == Denied:
		return OutcomeDenied, false
	case r.OpenID == c.OpenID:
		return OutcomeSame, false
	}
	return OutcomeTaken, false
}

// Ask implements Store.
func (m *Memory) Ask(_ context.Context, id, openID string) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok || r.State != Claimed || r.OpenID != openID {
		return Ticket{}, ErrUnauthorized
	}
	r.Asked = true
	return r.answerTicket(now, false), nil
}

// Confirm implements Store.
func (m *Memory) Confirm(_ context.Context, id, openID string, ok bool) (Ticket, Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, found := m.tickets.get(now, id)
	if !found {
		return Ticket{Now: now}, OutcomeUnknown, nil
	}
	outcome, moved := r.applyConfirm(now, openID, ok)
	return r.answerTicket(now, moved), outcome, nil
}

func (r *memoryTicket) applyConfirm(now time.Time, openID string, ok bool) (o Outcome, moved bool) {
	switch {
	case r.OpenID == "":
		return OutcomeUnknown, false
	case r.OpenID != openID:
		return OutcomeTaken, false
	case r.State == Claimed && now.After(r.ExpiresAt):
		r.State, r.Reason = Expired, "confirm_timeout"
		return OutcomeExpired, true
	case r.State == Claimed && !ok:
		r.State, r.Reason = Denied, "denied"
		return OutcomeDenied, true
	case r.State == Claimed:
		r.State, r.Reason, r.IssuedAt = Done, "confirmed", now
		return OutcomeClaimed, true
	}
	return endedAs[r.State], false
}

// endedAs is the answer to a caller that comes after the end.
var endedAs = map[State]Outcome{
	Done: OutcomeSame, Expired: OutcomeExpired, Replaced: OutcomeReplaced,
	Cancelled: OutcomeCancelled, Denied: OutcomeDenied,
}

// SetUnionID implements Store.
func (m *Memory) SetUnionID(_ context.Context, id, openID, unionID string) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok || r.State != Done || r.OpenID != openID {
		return Ticket{}, ErrUnauthorized
	}
	if !r.Unioned {
		r.UnionID, r.Unioned = unionID, true
	}
	return r.answerTicket(now, false), nil
}

// Delivered implements Store.
func (m *Memory) Delivered(_ context.Context, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.tickets.get(time.Now(), id)
	if !ok {
		return ErrUnauthorized
	}
	r.Ticket.Delivered = r.Ticket.Delivered || r.State == Done
	return nil
}

// End implements Store.
func (m *Memory) End(_ context.Context, id string, to State, reason, socketID string) (Ticket, error) {
	if to == Done || !to.Terminal() {
		return Ticket{}, fmt.Errorf("login: a ticket does not end as %q", to)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok {
		return Ticket{}, ErrUnauthorized
	}
	over := r.ExpiresAt
	if r.State == Waiting {
		over = over.Add(Grace)
	}
	moved := !r.State.Terminal() && (socketID == "" || socketID == r.SocketID) && (to != Expired || now.After(over))
	if moved {
		r.State, r.Reason = to, reason
	}
	return r.answerTicket(now, moved), nil
}

// Get implements Store.
func (m *Memory) Get(_ context.Context, id string) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	r, ok := m.tickets.get(now, id)
	if !ok {
		return Ticket{}, ErrUnauthorized
	}
	return r.answerTicket(now, false), nil
}

// GetMany implements Store.
func (m *Memory) GetMany(_ context.Context, ids []string) ([]Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	found := make([]Ticket, 0, len(ids))
	for _, id := range ids {
		if r, ok := m.tickets.get(now, id); ok {
			found = append(found, r.answerTicket(now, false))
		}
	}
	return found, nil
}

// Last implements Store.
func (m *Memory) Last(_ context.Context, appID, openID string, at time.Time) (Ticket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, key := time.Now(), personKey(appID, openID)
	id, _ := m.byPerson.get(now, key)
	r, ok := m.tickets.get(now, id)
	if !ok || isNewer(r.EventAt, at) { // that one was forgotten, or is of later
		known, _ := m.byTokens.get(now, key)
		token, _ := latestToken(known, at)
		r, ok = m.tickets.get(now, token.ticket)
	}
	if !ok {
		return Ticket{}, ErrUnauthorized
	}
	return r.answerTicket(now, false), nil
}

func (r *memoryTicket) answerTicket(now time.Time, moved bool) Ticket {
	t := r.Ticket
	t.Now, t.Moved = now, moved
	return t
}

// arrivalAge is how long ago the event arrived here. It is a duration and not a time,
// so that neither store depends on this machine's wall clock (docs/reliability.md §3 row F22).
func (c Claim) arrivalAge() time.Duration {
	if c.At.IsZero() {
		return 0
	}
	return max(0, time.Since(c.At))
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

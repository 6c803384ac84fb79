package login

import (
	"context"
	"time"
)

// Store keeps tickets and what belongs to them. Every transition is one atomic step,
// time is the store's own (Redis TIME). Memory and Redis implement it, with one test
// suite; both also implement callback.Dedupe.
type Store interface {
	TicketStore
	ClaimStore
	CodeStore
	RevocationStore
	RiskStore
}

// TicketStore keeps tickets from their first display to their end.
type TicketStore interface {
	// Create stores a new waiting ticket that lives ttl and binds its socket.
	Create(ctx context.Context, t Ticket, ttl time.Duration) (Ticket, error)
	// Resume binds socketID when the hash fits; ErrUnauthorized otherwise. It
	// works in every state, so that an undelivered result can be sent again.
	Resume(ctx context.Context, wechatTicket, resumeHash, socketID string, raw bool) (Ticket, error)
	// Unbind forgets socketID if it is still the bound one. The ticket lives on.
	Unbind(ctx context.Context, id, socketID string) error
	// Get returns the ticket, or ErrUnauthorized when there is none.
	Get(ctx context.Context, id string) (Ticket, error)
	// GetMany is Get for a node's open tickets in one round trip; missing ones are left out.
	GetMany(ctx context.Context, ids []string) ([]Ticket, error)
	// End moves a waiting or claimed ticket to expired, replaced, cancelled or
	// denied. To expired it moves only once the grace (waiting) or the time to
	// confirm (claimed) is over; otherwise the ticket comes back unchanged. With a
	// socketID it moves only while it is bound to that socket.
	End(ctx context.Context, id string, to State, reason, socketID string) (Ticket, error)
	// Delivered marks the result as having arrived. Idempotent.
	Delivered(ctx context.Context, id string) error
}

// ClaimStore decides whose a ticket is.
type ClaimStore interface {
	// Claim decides whether a person gets the ticket: the first one does, and the same
	// person again changes nothing.
	Claim(ctx context.Context, c Claim) (Ticket, Outcome, error)
	// Ask makes a claimed ticket show that it waits for the person's answer. It is for
	// the time after Claim has returned: only then does Last lead to the ticket.
	// ErrUnauthorized in any other state, and for another person. Idempotent.
	Ask(ctx context.Context, id, openID string) (Ticket, error)
	// Confirm turns claimed into done (ok) or denied, when openID fits.
	Confirm(ctx context.Context, id, openID string, ok bool) (Ticket, Outcome, error)
	// SetUnionID keeps the unionid of a done ticket's person, "" for none. The first
	// answer stays, and comes back: every copy of the token says the same.
	// ErrUnauthorized in any other state, and for another person.
	SetUnionID(ctx context.Context, id, openID, unionID string) (Ticket, error)
	// Last returns the ticket a person claimed last with an account, no later than at
	// (zero: now): what a typed number or a "not me" is about. ErrUnauthorized when
	// there is none.
	Last(ctx context.Context, appID, openID string, at time.Time) (Ticket, error)
}

// CodeStore keeps the one-time codes that stand for results.
type CodeStore interface {
	// PutCode stores the hash of a one-time code for a done ticket with a
	// challenge, killing an older one. ErrUnauthorized in any other state, and
	// once a code was spent. See Exchange.
	PutCode(ctx context.Context, id, codeHash string, ttl time.Duration) error
	// Exchange spends a code: the ticket when code and challenge fit (again for
	// 30 s with the same proofs), ErrUnauthorized otherwise; five wrong
	// challenges burn the code.
	Exchange(ctx context.Context, codeHash, challenge string) (Ticket, error)
}

// RevocationStore takes tokens back.
type RevocationStore interface {
	// Revoke takes back a done ticket whose openID fits: nothing is minted for it
	// any more, and its jti is listed by Revoked for ttl.
	Revoke(ctx context.Context, id, openID string, ttl time.Duration) (Ticket, error)
	// RevokeLatest revokes the latest of a person's tokens that may still be valid and is
	// of a claim no later than at (zero: now). Unlike a ticket, a token is known as
	// long as it lives. false when there is none.
	RevokeLatest(ctx context.Context, appID, openID string, at time.Time) (bool, error)
	// Forget revokes the tokens of a person who left at a time (zero: now), removes the
	// person from their tickets and forgets the ways that lead to either. A claimed
	// ticket becomes denied, a done one gives nothing any more. The tickets come back.
	// Claims that happened later are another visit and stay as they are; for leftTime a
	// claim that happened before and arrives late is OutcomeLeft. RiskStore.Distrust
	// forgets the rest.
	Forget(ctx context.Context, appID, openID string, at time.Time) ([]Ticket, error)
	// Revoked lists the tokens that were taken back and would still be valid, by jti,
	// at most so many.
	Revoked(ctx context.Context, most int) ([]string, error)
}

// RiskStore remembers how persons log in.
type RiskStore interface {
	// AssessRisk tells what is unusual about a login of a person, or "": see Unusual. It
	// also counts the login among the person's latest, once however often it is asked.
	AssessRisk(ctx context.Context, appID, openID string, m Marks) (Unusual, error)
	// Trust remembers the marks of a login that was the person's own.
	Trust(ctx context.Context, appID, openID string, m Marks) error
	// Distrust forgets all that AssessRisk and Trust remember of a person. Idempotent.
	Distrust(ctx context.Context, appID, openID string) error
}

// WebhookStage says what Once of a store knows of a pushed event.
type WebhookStage int

const (
	StageFirst      WebhookStage = iota // never seen: the caller processes it, then calls Finish
	StageProcessing                     // another replica is at it
	StageDone                           // finished: reply is its answer
)

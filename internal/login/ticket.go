package login

import (
	"context"
	"errors"
	"time"
)

// State is the state of a ticket, in the words of the wire contract.
type State string

const (
	Waiting   State = "waiting"
	Claimed   State = "claimed" // only when a confirm step is on
	Done      State = "done"
	Expired   State = "expired"
	Replaced  State = "replaced"
	Cancelled State = "cancelled"
	Denied    State = "denied"
)

// Terminal reports whether no transition leaves s, with one exception: a claim
// that arrived in time but sat in a Spool while the store was away still turns
// expired into done.
func (s State) Terminal() bool { return s != Waiting && s != Claimed }

var (
	// ErrUnauthorized answers an unknown ticket and a wrong secret alike.
	ErrUnauthorized = errors.New("login: unauthorized")
	// ErrStoreUnavailable wraps what the store's engine said.
	ErrStoreUnavailable = errors.New("login: store unavailable")
	// ErrExists refuses a second ticket with the same scene.
	ErrExists = errors.New("login: ticket exists")
)

// Ticket is one login attempt.
type Ticket struct {
	ID         string // the scene: version prefix and 128 random bits; the key of everything
	WeChat     string // WeChat's ticket, a second lookup key
	Account    string // configured name of the Official Account
	AppID      string
	State      State
	SocketID   string // the socket.id now bound; "" when none
	Before     string // the one it took the place of, in the answer to Resume; not stored
	URL        string // what the QR code encodes; "" for a code to type
	ImageURL   string // WeChat's picture of it
	Raw        bool   // bound to a raw /ws/signup socket
	ResumeHash string // hex SHA-256 of the browser's secret
	Challenge  string // PKCE S256 challenge, "" when the JWT goes over the socket
	OpenID     string
	UnionID    string
	Unioned    bool      // the unionid was asked for: UnionID is final, "" included
	JTI        string    // set once, by the claim that wins
	EventAt    time.Time // when the person scanned, by WeChat's clock; see Claim.EventAt
	IssuedAt   time.Time // iat of the token: a replay has identical claims
	CreatedAt  time.Time
	ExpiresAt  time.Time
	Delivered  bool
	Number     string // two digits to match, when a confirm step is on
	Browser    string // stands for the browser that shows the code; "" when unknown
	Agent      string // that browser's kind, as people read it
	Network    string // the network it is in, no single address
	Risk       bool   // claimed under the rule of Claim.Risk
	Asked      bool   // claimed, and the person's answer would be understood: see Store.Ask
	Reason     string // why a terminal state was reached, for metrics

	Exchanged bool      // its one-time code was spent
	Revoked   bool      // "not you?": no token for it any more
	Now       time.Time // the store's clock when it answered; not stored
	Moved     bool      // this very call changed State; not stored
}

// Visible is the state a page is shown: a waiting ticket past its end reads
// expired, although a claim within the grace still succeeds (docs/login.md §2), and a
// claimed one reads waiting until the person may answer.
func (t Ticket) Visible() State {
	switch {
	case !t.State.Terminal() && !t.Now.Before(t.ExpiresAt):
		return Expired
	case t.State == Claimed && !t.Asked:
		return Waiting
	}
	return t.State
}

// ExpiresIn is how long the ticket still lives, 0 once it has ended.
func (t Ticket) ExpiresIn() time.Duration {
	if t.Visible().Terminal() {
		return 0
	}
	return t.ExpiresAt.Sub(t.Now)
}

// Pending reports whether the browser may still be given its result: until the
// token was delivered, or until the code was exchanged (docs/login.md §3).
func (t Ticket) Pending() bool {
	if t.State != Done || t.Revoked {
		return false
	}
	if t.Challenge != "" {
		return !t.Exchanged
	}
	return !t.Delivered
}

// Outcome is what a claim did.
type Outcome string

const (
	OutcomeClaimed   Outcome = "claimed"   // first claim: the ticket is now done (or claimed, with confirm on)
	OutcomeSame      Outcome = "same"      // the same person again: nothing changed
	OutcomeTaken     Outcome = "taken"     // another person was first
	OutcomeExpired   Outcome = "expired"   // past the grace
	OutcomeReplaced  Outcome = "replaced"  // the page was refreshed, or gave up
	OutcomeCancelled Outcome = "cancelled" // the page was closed
	OutcomeUnknown   Outcome = "unknown"   // no such scene
	OutcomeForeign   Outcome = "foreign"   // the scene belongs to another account
	OutcomeDenied    Outcome = "denied"    // the person said no, or answered with the wrong number
	OutcomeLeft      Outcome = "left"      // the person has left the account since
	OutcomeSpooled   Outcome = "spooled"   // the store is away: durable in the local Spool, judged later
)

// Claim is a person's scan or follow, as the verified webhook tells it.
type Claim struct {
	AppID   string
	Scene   string // without "qrscene_"
	WeChat  string // the event's Ticket, may be empty
	OpenID  string
	UnionID string        // when the account knows it
	Confirm bool          // a confirm step is required: waiting → claimed instead of done
	Risk    bool          // a confirm step is required if the login is unusual: see Service.weigh
	Life    time.Duration // of a token that comes of it, for RevokeLatest; the Service sets it
	At      time.Time     // when the event arrived here; a spooled claim is judged by it
	// EventAt is when the person acted, by WeChat's clock. Events arrive in any order:
	// what a person does later wins, whatever arrives first. Zero is when the event
	// arrived, in whole seconds as WeChat tells them.
	EventAt time.Time
}

// Store keeps tickets. Every transition is one atomic step, time is the store's
// own (Redis TIME). Implementations: Memory and Redis, with one test suite.
type Store interface {
	// Create stores a new waiting ticket that lives ttl and binds its socket.
	Create(ctx context.Context, t Ticket, ttl time.Duration) (Ticket, error)
	// Resume binds socketID when the hash fits; ErrUnauthorized otherwise. It
	// works in every state, so that an undelivered result can be sent again.
	Resume(ctx context.Context, wechatTicket, resumeHash, socketID string, raw bool) (Ticket, error)
	// Unbind forgets socketID if it is still the bound one. The ticket lives on.
	Unbind(ctx context.Context, id, socketID string) error
	Claim(ctx context.Context, c Claim) (Ticket, Outcome, error)
	// Ask makes a claimed ticket show that it waits for the person's answer. It is for
	// the time after Claim has returned: only then does Last lead to the ticket.
	// ErrUnauthorized in any other state, and for another person. Idempotent.
	Ask(ctx context.Context, id, openID string) (Ticket, error)
	// Confirm turns claimed into done (ok) or denied, when openID fits.
	Confirm(ctx context.Context, id, openID string, ok bool) (Ticket, Outcome, error)
	// SetUnionID keeps the unionid of a done ticket's person, "" for none. The first
	// answer wins for ever, and comes back: every copy of the token says the same.
	// ErrUnauthorized in any other state, and for another person.
	SetUnionID(ctx context.Context, id, openID, unionID string) (Ticket, error)
	// Delivered marks the result as having arrived. Idempotent.
	Delivered(ctx context.Context, id string) error
	// End moves a waiting or claimed ticket to expired, replaced, cancelled or
	// denied. To expired it moves only once the grace (waiting) or the time to
	// confirm (claimed) is over; otherwise the ticket comes back unchanged. With a
	// socketID it moves only while it is bound to that socket.
	End(ctx context.Context, id string, to State, reason, socketID string) (Ticket, error)
	// Get returns the ticket, or ErrUnauthorized when there is none.
	Get(ctx context.Context, id string) (Ticket, error)
	// GetMany is Get for a node's open tickets in one round trip; missing ones are left out.
	GetMany(ctx context.Context, ids []string) ([]Ticket, error)

	// PutCode stores the hash of a one-time code for a done ticket with a
	// challenge, killing an older one. ErrUnauthorized in any other state, and
	// once a code was spent. See Exchange.
	PutCode(ctx context.Context, id, codeHash string, ttl time.Duration) error
	// Exchange spends a code: the ticket when code and challenge fit (again for
	// 30 s with the same proofs), ErrUnauthorized otherwise; five wrong
	// challenges burn the code.
	Exchange(ctx context.Context, codeHash, challenge string) (Ticket, error)

	// Once is the two-stage dedupe of webhooks: see WebhookStage.
	Once(ctx context.Context, key string, lease time.Duration) (stage WebhookStage, reply []byte, err error)
	// Finish ends the processing stage and keeps reply for repeats.
	Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error

	// Last returns the ticket a person claimed last with an account, no later than at
	// (zero: now): what a typed number or a "not me" is about. ErrUnauthorized when
	// there is none.
	Last(ctx context.Context, appID, openID string, at time.Time) (Ticket, error)
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
	// claim that happened before and arrives late is OutcomeLeft. See Distrust for the
	// rest.
	Forget(ctx context.Context, appID, openID string, at time.Time) ([]Ticket, error)
	// AssessRisk tells what is unusual about a login of a person, or "": see Unusual. It
	// also counts the login among the person's latest, once however often it is asked.
	AssessRisk(ctx context.Context, appID, openID string, m Marks) (Unusual, error)
	// Trust remembers the marks of a login that was the person's own.
	Trust(ctx context.Context, appID, openID string, m Marks) error
	// Distrust forgets all that AssessRisk and Trust remember of a person. Idempotent.
	Distrust(ctx context.Context, appID, openID string) error
	// Revoked lists the tokens that were taken back and would still be valid, by jti,
	// at most so many.
	Revoked(ctx context.Context, most int) ([]string, error)
}

// WebhookStage says what is known of a pushed event.
type WebhookStage int

const (
	StageFirst      WebhookStage = iota // never seen: the caller processes it, then calls Finish
	StageProcessing                     // somebody else is at it
	StageDone                           // finished: reply is its answer
)

// Identity is what a token says of a person.
type Identity struct {
	AppID, OpenID, UnionID string
}

// Token is a signed JWT and its claims' essentials.
type Token struct {
	JWT       string
	JTI       string
	ExpiresAt time.Time
}

// TokenIssuer signs tokens. The same jti and iat give identical claims.
type TokenIssuer interface {
	Issue(ctx context.Context, id Identity, jti string, iat time.Time) (Token, error)
}

// Notifier tells the node that holds the ticket's socket that its result (token
// or code) is there, or that its state changed. It never blocks for long; the
// store stays the truth.
type Notifier interface {
	Notify(ctx context.Context, t Ticket) error
}

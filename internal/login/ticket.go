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

// Terminal reports whether no transition leaves s.
func (s State) Terminal() bool { return s != Waiting && s != Claimed }

var (
	// ErrUnauthorized answers an unknown ticket and a wrong secret alike.
	ErrUnauthorized = errors.New("login: unauthorized")
	// ErrStoreUnavailable wraps what the store's engine said.
	ErrStoreUnavailable = errors.New("login: store unavailable")
)

// Ticket is one login attempt.
type Ticket struct {
	ID         string // the scene: version prefix and 128 random bits; the key of everything
	WeChat     string // WeChat's ticket, a second lookup key
	Account    string // configured name of the Official Account
	AppID      string
	State      State
	SocketID   string // the socket.id now bound; "" when none
	Raw        bool   // bound to a raw /ws/signup socket
	ResumeHash string // hex SHA-256 of the browser's secret
	Challenge  string // PKCE S256 challenge, "" when the JWT goes over the socket
	OpenID     string
	UnionID    string
	JTI        string    // set once, by the claim that wins
	IssuedAt   time.Time // iat of the token: a replay has identical claims
	CreatedAt  time.Time
	ExpiresAt  time.Time
	Delivered  bool
	Number     string // two digits to match, when a confirm step is on
	Reason     string // why a terminal state was reached, for metrics
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
)

// Claim is a person's scan or follow, as the verified webhook tells it.
type Claim struct {
	AppID   string
	Scene   string // without "qrscene_"
	WeChat  string // the event's Ticket, may be empty
	OpenID  string
	Confirm bool      // a confirm step is required: waiting → claimed instead of done
	At      time.Time // when the event arrived here; a spooled claim is judged by it
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
	// Confirm turns claimed into done (ok) or denied, when openID fits.
	Confirm(ctx context.Context, id, openID string, ok bool) (Ticket, Outcome, error)
	// Delivered marks the result as having arrived. Idempotent.
	Delivered(ctx context.Context, id string) error
	// End moves a waiting or claimed ticket to expired, replaced, cancelled or denied.
	End(ctx context.Context, id string, to State, reason string) (Ticket, error)
	// Get returns the ticket, or ErrUnauthorized when there is none.
	Get(ctx context.Context, id string) (Ticket, error)
	// GetMany is Get for a node's open tickets in one round trip; missing ones are left out.
	GetMany(ctx context.Context, ids []string) ([]Ticket, error)

	// PutCode stores the hash of a one-time code for a done ticket with a
	// challenge, killing an older one. See Exchange.
	PutCode(ctx context.Context, id, codeHash string, ttl time.Duration) error
	// Exchange spends a code: the ticket when code and challenge fit (again for
	// 30 s with the same proofs), ErrUnauthorized otherwise; five wrong
	// challenges burn the code.
	Exchange(ctx context.Context, codeHash, challenge string) (Ticket, error)

	// Once is the two-stage dedupe of webhooks: see WebhookStage.
	Once(ctx context.Context, key string, lease time.Duration) (stage WebhookStage, reply []byte, err error)
	// Finish ends the processing stage and keeps reply for repeats.
	Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error
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

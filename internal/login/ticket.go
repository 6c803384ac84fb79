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
	Context    string // the page's own, for claim ctx; opaque, see ValidContext
	Trace      string // the traceparent of what made it; "" without traces
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
	OutcomeExchanged Outcome = "exchanged" // of a TracedStep: the code of the ticket became a token
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

// Identity is what a token says of a person.
type Identity struct {
	AppID, OpenID, UnionID string
	Context                string // what the page sent along, "" when nothing
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

package login

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

var (
	// ErrBadRequest refuses a challenge, code or verifier of the wrong shape.
	ErrBadRequest = errors.New("login: bad request")
	// ErrNoResult answers Result for a ticket that is not done or was taken back.
	ErrNoResult = errors.New("login: no result")
)

// QRCode is a temporary QR code as WeChat made it, or the word that there is none:
// with Typed the person sends a code to the account instead, and only AppID and
// Life are set. Beside an error Typed offers such a code, for pages that can show it.
type QRCode struct {
	AppID    string
	Typed    bool
	Ticket   string        // WeChat's ticket
	URL      string        // what the code encodes
	ImageURL string        // WeChat's picture of it
	Life     time.Duration // granted, may be less than asked for
}

// QRCodes makes QR codes. Its errors reach the caller of Start wrapped, so that
// the gateway can tell quota from outage.
type QRCodes interface {
	Create(ctx context.Context, account, scene string, life time.Duration) (QRCode, error)
}

// UnionIDs asks WeChat for the unionid of a person who logged in.
type UnionIDs interface {
	// Wanted reports whether the account's tokens shall carry a unionid at all.
	Wanted(account string) bool
	// UnionID is "" for a person or an account that has none.
	UnionID(ctx context.Context, account, openID string) (string, error)
}

// Counter counts what happened. metric is one of "attempt" (an attempt ended;
// reason why), "claim", "confirm", "unionid", "exchange" and "spool"; reasons are few and
// constant.
type Counter interface {
	Count(metric, account, reason string)
}

// Observer hears of events that an application's back end may want to know. It does not
// block. A notice may come twice, and is lost when the process dies right then: the store
// and the token are the truth.
type Observer interface {
	// LoginDone is told of a ticket that has just become done.
	LoginDone(t Ticket)
	// LoginRevoked is told of a login that the person took back. JTI is "" when the ticket
	// is not known any more.
	LoginRevoked(t Ticket)
	// PersonLeft is told of a person who left an account.
	PersonLeft(appID, openID string, at time.Time)
}

// TracedStep is a step of a login that no caller sees whole.
type TracedStep struct {
	Ticket  Ticket
	Began   time.Time
	Outcome Outcome // of a claim that the spool kept; OutcomeExchanged
	Err     error
}

// Revocations ends what came of logins elsewhere. Both are idempotent.
type Revocations interface {
	// RevokeSignIn takes back the login with that jti.
	RevokeSignIn(ctx context.Context, jti string) error
	// RevokePerson takes back all logins of a person up to a time (zero: now).
	RevokePerson(ctx context.Context, appID, openID string, at time.Time) error
}

// TypedCodes is what QRCodes may also implement: a code to type without asking
// WeChat; false when the account has none.
type TypedCodes interface {
	TypedCode(account string, life time.Duration) (QRCode, bool)
}

// ServiceOptions are the parts of a Service. Store, Issuer and QRCodes are
// required; the rest may be left out.
type ServiceOptions struct {
	Store    Store
	Issuer   TokenIssuer
	QRCodes  QRCodes
	Notifier Notifier // told about claims, confirmations and ends; nil: none is
	UnionIDs UnionIDs // nil: tokens carry no unionid
	// Observer hears of logins that are done or taken back; nil: none.
	Observer Observer
	// Traced hears of steps of logins that begin inside the Service; nil: nothing does.
	Traced func(ctx context.Context, step TracedStep)
	// Revocations hears of logins that are taken back, before the store does: nil, none.
	Revocations Revocations
	Spool       *Spool        // takes claims while the store is away; nil: they fail
	Life        time.Duration // asked for a ticket; default 5 min
	CodeLife    time.Duration // of a one-time code; default 60 s
	TokenTTL    time.Duration // how long a revocation is remembered; default 15 min
	Counter     Counter
	Logger      *slog.Logger // nil means slog.Default()
}

// Service is the login as the gateway and the webhook use it. It is safe for
// concurrent use; the Store carries all state.
type Service struct {
	options ServiceOptions
}

// NewService returns a Service. It starts nothing; see Run.
func NewService(opts *ServiceOptions) (*Service, error) {
	var o ServiceOptions
	if opts != nil {
		o = *opts
	}
	if o.Store == nil || o.Issuer == nil || o.QRCodes == nil {
		return nil, errors.New("login: service needs Store, Issuer and QRCodes")
	}
	if o.Life <= 0 {
		o.Life = 5 * time.Minute
	}
	if o.CodeLife <= 0 {
		o.CodeLife = time.Minute
	}
	if o.TokenTTL <= 0 {
		o.TokenTTL = 15 * time.Minute
	}
	if o.Notifier == nil {
		o.Notifier = silent{}
	}
	if o.Counter == nil {
		o.Counter = silent{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Service{o}, nil
}

type silent struct{}

func (silent) Notify(context.Context, Ticket) error { return nil }
func (silent) Count(metric, account, reason string) {}

// StartRequest asks for a new ticket.
type StartRequest struct {
	Account   string
	SocketID  string
	Raw       bool   // the socket is a raw /ws/signup one
	Challenge string // PKCE S256, "" when the token goes over the socket
	Context   string // opaque, for claim ctx; see ValidContext
	Browser   string // stands for the browser, "" when unknown; see Ticket
	Agent     string // what kind it is, as people read it
	Network   string // where it is, no single address
	Trace     string // the traceparent that the steps of the login belong to; "" without traces
	Typed     bool   // the page can show a code to type where no QR code can be made
	// PreferTyped asks for a code to type although a QR code could be made: for people
	// unable to scan. It needs QRCodes that are TypedCodes.
	PreferTyped bool
	// Replaces is the id of the ticket this one takes the place of, "" when none. A
	// ticket that another socket has resumed stays that socket's.
	Replaces string
}

// Started is a new ticket with what only its browser may know.
type Started struct {
	Ticket   Ticket
	URL      string
	ImageURL string
	Code     string // to send to the account, when there is no QR code
	Resume   string // the secret; the store has its hash
}

// Start makes a ticket and its QR code, and then ends the one it replaces, so
// that a failed refresh leaves the old code usable. The store is asked first: while
// it is away no QR code is spent (docs/wechat.md §3.3 race 13).
func (s *Service) Start(ctx context.Context, r StartRequest) (Started, error) {
	if r.Challenge != "" && !ValidChallenge(r.Challenge) {
		return Started{}, fmt.Errorf("%w: challenge", ErrBadRequest)
	}
	if !ValidContext(r.Context) {
		return Started{}, fmt.Errorf("%w: context", ErrBadRequest)
	}
	if i, ok := s.options.Issuer.(interface{ Ready() error }); ok {
		if err := i.Ready(); err != nil { // a code that cannot become a login is not made
			return Started{}, fmt.Errorf("login: start: %w", err)
		}
	}
	begin := time.Now()
	scene := newScene()
	if _, err := s.options.Store.Get(ctx, scene); !errors.Is(err, ErrUnauthorized) {
		return Started{}, fmt.Errorf("login: start: %w", err)
	}
	qr, err := s.createTicket(ctx, r, scene)
	if err != nil && !(r.Typed && qr.Typed) {
		return Started{}, fmt.Errorf("login: start: %w", err)
	}
	code := ""
	if qr.Typed {
		code = NewTypedCode()
		qr.Ticket = typedTicket(qr.AppID, code)
	}
	secret := newSecret()
	t, err := s.options.Store.Create(ctx, Ticket{
		ID: scene, WeChat: qr.Ticket, Account: r.Account, AppID: qr.AppID,
		SocketID: r.SocketID, Raw: r.Raw,
		ResumeHash: hashSecret(secret), Challenge: r.Challenge, Context: r.Context, Number: newNumber(),
		Browser: r.Browser, Agent: r.Agent, Network: r.Network, URL: qr.URL, ImageURL: qr.ImageURL, Trace: r.Trace,
	}, qr.Life)
	if err != nil {
		return Started{}, fmt.Errorf("login: start: %w", err)
	}
	if r.Replaces != "" {
		if _, err := s.endTicket(ctx, r.Replaces, Replaced, "refreshed", r.SocketID); err != nil && !errors.Is(err, ErrUnauthorized) {
			return Started{}, err
		}
	}
	s.countStage(StageShown, time.Since(begin))
	return Started{Ticket: t, URL: qr.URL, ImageURL: qr.ImageURL, Code: code, Resume: secret}, nil
}

func (s *Service) createTicket(ctx context.Context, r StartRequest, scene string) (QRCode, error) {
	if typed, ok := s.options.QRCodes.(TypedCodes); ok && r.PreferTyped {
		if qr, ok := typed.TypedCode(r.Account, s.options.Life); ok {
			return qr, nil
		}
	}
	return s.options.QRCodes.Create(ctx, r.Account, scene, s.options.Life)
}

// Resume binds the socket to the ticket its browser proves to own. When the
// ticket is Pending, the caller sends its Result again at once.
func (s *Service) Resume(ctx context.Context, wechatTicket, secret, socketID string, raw bool) (Ticket, error) {
	if wechatTicket == "" || len(wechatTicket) > 512 || len(secret) > 128 {
		return Ticket{}, ErrUnauthorized
	}
	return s.options.Store.Resume(ctx, wechatTicket, hashSecret(secret), socketID, raw)
}

// Unbind tells that a socket is gone. Its ticket lives on and can be resumed.
func (s *Service) Unbind(ctx context.Context, id, socketID string) error {
	return s.options.Store.Unbind(ctx, id, socketID)
}

// Cancel ends the ticket because the page of its socket gave up. A scan that comes later
// is told so. A ticket that another socket has resumed comes back unchanged.
func (s *Service) Cancel(ctx context.Context, id, socketID string) (Ticket, error) {
	return s.endTicket(ctx, id, Cancelled, "cancelled", socketID)
}

// Expire ends the ticket once its grace is over; before that the ticket comes
// back as it is, and its Visible state may already be expired.
func (s *Service) Expire(ctx context.Context, id string) (Ticket, error) {
	return s.endTicket(ctx, id, Expired, "timeout", "")
}

func (s *Service) endTicket(ctx context.Context, id string, to State, reason, socketID string) (Ticket, error) {
	t, err := s.options.Store.End(ctx, id, to, reason, socketID)
	if err == nil {
		s.countMove(t)
	}
	return t, err
}

// countMove counts an attempt that has just ended: once, by the call that moved it.
func (s *Service) countMove(t Ticket) {
	if t.Moved && t.State.Terminal() {
		s.options.Counter.Count("attempt", t.Account, string(t.State)+":"+t.Reason)
		if t.State == Done && s.options.Observer != nil {
			s.options.Observer.LoginDone(t)
		}
	}
}

// Ticket returns the present state of a ticket, ErrUnauthorized when there is none.
func (s *Service) Ticket(ctx context.Context, id string) (Ticket, error) {
	return s.options.Store.Get(ctx, id)
}

// Tickets returns the present state of many tickets in one round trip; those the
// store does not know (any more) are left out.
func (s *Service) Tickets(ctx context.Context, ids []string) ([]Ticket, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.options.Store.GetMany(ctx, ids)
}

// notifyHolder tells the node that holds the ticket's socket. A failure is logged and
// forgotten: that node looks at its open tickets itself.
func (s *Service) notifyHolder(ctx context.Context, t Ticket) {
	if err := s.options.Notifier.Notify(ctx, t); err != nil {
		s.options.Logger.Warn("login: notify failed", "account", t.Account, "state", string(t.State), "error", err)
	}
}

package callback

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/internal/login"
	"posthouse/internal/loglimit"
)

// Claims is the login service as the webhook sees it. A nil error promises that
// the claim is durable; the webhook answers "success" on nothing less.
// Implementations bound their own waiting by ctx.
type Claims interface {
	Claim(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error)
}

// Dedupe tells a push from its repeats, across replicas.
type Dedupe interface {
	Once(ctx context.Context, key string, lease time.Duration) (login.WebhookStage, []byte, error)
	Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error
}

// Codes is the fallback for accounts without scene QR codes: a person types the
// code that the page shows. login.OutcomeUnknown says that the text is no code.
type Codes interface {
	ClaimCode(ctx context.Context, c login.Claim, code string) (login.Ticket, login.Outcome, error)
}

// Confirms takes what a person answers to the confirm step, or to "not you?"
// after a login. login.OutcomeUnknown says that nothing was asked. at is when the person
// answered, by WeChat's clock: an answer is never about a later login.
type Confirms interface {
	Confirm(ctx context.Context, appID, openID, number string, at time.Time) (login.Ticket, login.Outcome, error)
	Deny(ctx context.Context, appID, openID string, at time.Time) (login.Ticket, login.Outcome, error)
}

// People keeps what is known of persons. Forget deletes it all and ends their
// sessions: a duty towards whoever unfollows or revokes an authorization. It is
// idempotent; a nil error says that it is done or durably noted. at is when the person
// left, by WeChat's clock: what the person did after it stays.
type People interface {
	Forget(ctx context.Context, appID, openID string, at time.Time) error
}

// Options configure a Handler. Accounts, Claims and Dedupe are needed.
type Options struct {
	Accounts []Account

	Claims Claims
	Dedupe Dedupe
	// Notifier is told of every claim that has news for a browser. nil when
	// Claims does that itself, as login.Service does.
	Notifier login.Notifier

	Codes    Codes    // nil: texts are never codes
	Confirms Confirms // nil: texts are never answers
	People   People   // nil: nothing is kept, nothing to forget

	// ClientIP finds the sender behind trusted proxies; nil takes the
	// connection's peer. Only the IP lists of accounts use it.
	ClientIP func(*http.Request) netip.Addr
	// Now is the wall clock that freshness is judged by; nil is time.Now.
	Now func() time.Time

	// SettingName is how the operator calls a setting of an account ("token",
	// "mode", "forward", …), for log lines that say what to change; nil calls it
	// accounts.<account>.<setting>.
	SettingName func(account, setting string) string

	Limits  Limits
	Metrics Metrics      // nil: nothing is counted
	Logger  *slog.Logger // nil means slog.Default()
}

// Handler answers WeChat's calls for all configured accounts. It is safe for
// concurrent use.
type Handler struct {
	options        Options
	accountsByName map[string]*account
	firstAccount   *account // who is meant by a path without a name
	limiter        *limiter
	httpClient     *http.Client // to upstreams
	panicLines     loglimit.Limiter
	loginCopies    sync.WaitGroup // of logins on their way to upstreams; Close waits for them
}

// New checks the options and makes a Handler. It starts nothing.
func New(o Options) (*Handler, error) {
	if len(o.Accounts) == 0 {
		return nil, errors.New("callback: no account")
	}
	if o.Claims == nil || o.Dedupe == nil {
		return nil, errors.New("callback: Claims and Dedupe are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.ClientIP == nil {
		o.ClientIP = peerAddr
	}
	if o.SettingName == nil {
		o.SettingName = func(account, setting string) string { return "accounts." + account + "." + setting }
	}
	h := &Handler{options: o, accountsByName: map[string]*account{}, limiter: newLimiter(o.Limits), httpClient: newUpstreamClient()}
	for _, cfg := range o.Accounts {
		a, err := newAccount(h, cfg)
		if err != nil {
			return nil, fmt.Errorf("callback: account %q: %w", cfg.Name, err)
		}
		if h.accountsByName[a.Name] != nil {
			return nil, fmt.Errorf("callback: account %q stands twice", a.Name)
		}
		h.accountsByName[a.Name] = a
		if h.firstAccount == nil || a.Name == DefaultAccount {
			h.firstAccount = a
		}
	}
	return h, nil
}

// Register adds the webhook's routes to g: GET and POST, /callback/wechat for
// the account named "default" (or else the first), and /callback/wechat/{account}.
func (h *Handler) Register(g *echo.Group) {
	serve := func(c echo.Context) error {
		// The answer is always written here: an error that reached the
		// framework would become JSON, which WeChat takes for a fault.
		h.Account(c.Param("account")).ServeHTTP(c.Response(), c.Request())
		return nil
	}
	for _, path := range []string{"/callback/wechat", "/callback/wechat/:account"} {
		g.GET(path, serve)
		g.POST(path, serve)
	}
}

// Account is the webhook of one account, "" meaning the default. An unknown name
// gives a handler that answers 404 without a body.
func (h *Handler) Account(name string) http.Handler {
	a := h.firstAccount
	if name != "" {
		a = h.accountsByName[name]
	}
	if a == nil {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			h.options.Metrics.Refused("unknown", "account")
			w.WriteHeader(http.StatusNotFound)
		})
	}
	return a
}

// Close waits for copies of logins that are on their way to upstreams, a few
// seconds at most, and returns idle connections. Requests under way are their
// server's to wait for, before Close.
func (h *Handler) Close() {
	h.loginCopies.Wait()
	h.httpClient.CloseIdleConnections()
}

func peerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}

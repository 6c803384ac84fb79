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

	"posthouse/internal/loglimit"
)

// Login is the login service as the webhook sees it. Its methods bound their own waiting
// by ctx. The times at are when the person acted, by WeChat's clock.
type Login interface {
	// Claim takes a scan or a follow. A nil error promises that the claim is durable;
	// the webhook answers "success" on nothing less.
	Claim(ctx context.Context, c Claim) (Ticket, Outcome, error)
	// ClaimCode takes a text of a person, for accounts without scene QR codes: the
	// person types the code that the page shows. OutcomeUnknown says that the text is
	// no code.
	ClaimCode(ctx context.Context, c Claim, text string) (Ticket, Outcome, error)
	// Confirm takes the number that a person answers to the confirm step.
	// OutcomeUnknown says that nothing was asked. An answer is never about a login
	// later than at.
	Confirm(ctx context.Context, appID, openID, number string, at time.Time) (Ticket, Outcome, error)
	// Deny takes a "no" to the confirm step, or to "not you?" after a login.
	Deny(ctx context.Context, appID, openID string, at time.Time) (Ticket, Outcome, error)
	// Forget deletes what is kept of a person and ends the person's sessions: a duty
	// when a person unfollows or revokes an authorization. It is idempotent; a nil
	// error says that it is done or durably noted. What the person does after at stays.
	Forget(ctx context.Context, appID, openID string, at time.Time) error
}

// Dedupe tells a push from its repeats, across replicas.
type Dedupe interface {
	// Once asks for a key. At StageFirst the caller works on the push, and no other caller
	// until Finish or the end of the lease; at StageDone the reply of Finish comes back.
	Once(ctx context.Context, key string, lease time.Duration) (Stage, []byte, error)
	// Finish ends the work on a key and keeps its reply for repeats.
	Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error
}

// Options configure a Handler. Accounts, Login and Dedupe are needed.
type Options struct {
	Accounts []Account

	Login  Login
	Dedupe Dedupe
	// Notifier is told of every claim that has news for a browser. nil when Login does
	// that itself, as the gateway's service does.
	Notifier Notifier

	// ChatCodes makes a code for a person that asked for one in the chat, and says how long
	// it is good. nil when no account has CodeWords.
	ChatCodes func(ctx context.Context, appID, openID string) (code string, life time.Duration, err error)

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
	firstAccount   *account // the one that a path without a name means
	limiter        *limiter
	httpClient     *http.Client // to upstreams
	panicLines     loglimit.Limiter
	loginCopies    sync.WaitGroup // of logins on their way to upstreams; Close waits for them
}

// New checks the options and makes a Handler. It starts nothing.
func New(opts *Options) (*Handler, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if len(o.Accounts) == 0 {
		return nil, errors.New("callback: no account")
	}
	if o.Login == nil || o.Dedupe == nil {
		return nil, errors.New("callback: Login and Dedupe are needed")
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

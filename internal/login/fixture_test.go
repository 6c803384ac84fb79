package login_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
)

// Store is all that Memory and Redis do: login.Store and callback.Dedupe.
type Store interface {
	login.Store
	Once(ctx context.Context, key string, lease time.Duration) (login.WebhookStage, []byte, error)
	Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error
}

// fixture is a store with a clock that a test can turn.
type fixture struct {
	Store
	advance func(time.Duration)
	rdb     redis.UniversalClient // nil for Memory
	prefix  string
	lose    func() // what a Redis restart without persistence does
}

// eachStore runs f against every store there is. Memory runs in a synctest bubble;
// Redis is a real server whose time is shifted.
func eachStore(t *testing.T, f func(t *testing.T, s *fixture)) {
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &fixture{Store: login.NewMemory(), advance: time.Sleep}
			s.lose = func() { s.Store = login.NewMemory() }
			f(t, s)
		})
	})
	eachRedis(t, f)
}

// outage is a store that can be away.
type outage struct {
	Store
	away atomic.Bool
}

var errAway = fmt.Errorf("%w: connection refused", login.ErrStoreUnavailable)

func (o *outage) Claim(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
	if o.away.Load() {
		return login.Ticket{}, "", errAway
	}
	return o.Store.Claim(ctx, c)
}

func (o *outage) Get(ctx context.Context, id string) (login.Ticket, error) {
	if o.away.Load() {
		return login.Ticket{}, errAway
	}
	return o.Store.Get(ctx, id)
}

// weChat makes QR codes and counts them.
type weChat struct {
	calls atomic.Int64
	life  time.Duration
	typed bool
	err   error

	noTyped bool // the account has no codes to type
}

func (w *weChat) TypedCode(account string, life time.Duration) (login.QRCode, bool) {
	return login.QRCode{AppID: "wx-" + account, Typed: true, Life: life}, !w.noTyped
}

func (w *weChat) Create(_ context.Context, account, scene string, life time.Duration) (login.QRCode, error) {
	n := w.calls.Add(1)
	if w.life > 0 {
		life = w.life
	}
	if w.typed {
		return login.QRCode{AppID: "wx-" + account, Typed: true, Life: life}, w.err
	}
	if w.err != nil {
		return login.QRCode{}, w.err
	}
	ticket := fmt.Sprintf("gQH8%d%s", n, strings.TrimPrefix(scene, login.ScenePrefix))
	return login.QRCode{
		AppID: "wx-" + account, Ticket: ticket, URL: "http://weixin.qq.com/q/" + scene,
		ImageURL: "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=" + ticket, Life: life,
	}, nil
}

// ledger records what the service tells others.
type ledger struct {
	mu       sync.Mutex
	notified []login.Ticket
	counts   map[string]int
}

func (l *ledger) Notify(_ context.Context, t login.Ticket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notified = append(l.notified, t)
	return nil
}

func (l *ledger) Count(metric, account, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = map[string]int{}
	}
	l.counts[metric+" "+reason]++
}

func (l *ledger) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[what]
}

func (l *ledger) notifications() []login.Ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]login.Ticket(nil), l.notified...)
}

// rig is a service with everything around it faked but the store.
type rig struct {
	*login.Service
	store  *outage
	fix    *fixture
	weChat *weChat
	ledger *ledger
	issuer *login.Issuer
}

func newRig(t testing.TB, s *fixture, change func(*login.ServiceOptions)) *rig {
	t.Helper()
	key, _, err := login.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := login.NewIssuer(&login.IssuerOptions{Keys: []login.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: &outage{Store: s}, fix: s, weChat: &weChat{}, ledger: &ledger{}, issuer: issuer}
	o := login.ServiceOptions{
		Store: r.store, Issuer: issuer, QRCodes: r.weChat, Notifier: r.ledger, Counter: r.ledger,
	}
	if change != nil {
		change(&o)
	}
	if r.Service, err = login.NewService(&o); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) start(t *testing.T, q login.StartRequest) login.Started {
	t.Helper()
	if q.Account == "" {
		q.Account = "main"
	}
	if q.SocketID == "" {
		q.SocketID = "socket-1"
	}
	s, err := r.Start(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func scan(t login.Ticket, openID string) login.Claim {
	return login.Claim{AppID: t.AppID, Scene: t.ID, WeChat: t.WeChat, OpenID: openID}
}

func (r *rig) mustClaim(t *testing.T, c login.Claim, want login.Outcome) login.Ticket {
	t.Helper()
	ticket, outcome, err := r.Claim(t.Context(), c)
	if err != nil || outcome != want {
		t.Fatalf("claim by %s: %s, %v; want %s", c.OpenID, outcome, err, want)
	}
	return ticket
}

func (r *rig) mustResult(t *testing.T, ticket login.Ticket, event string) string {
	t.Helper()
	res, err := r.Result(t.Context(), ticket)
	if err != nil || res.Event != event {
		t.Fatalf("result: %q, %v; want a %s", res.Event, err, event)
	}
	return res.Value
}

func (r *rig) now(t *testing.T, id string) login.Ticket {
	t.Helper()
	ticket, err := r.Ticket(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v; want %v", err, want)
	}
}

const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

func fuzzRig(f *testing.F) *rig { return newRig(f, &fixture{Store: login.NewMemory()}, nil) }

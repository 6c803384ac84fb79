package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// replica is the login of one gateway, on a Socket.IO server in memory.
type replica struct {
	*loginNamespace
	server *sockettest.Server
	store  *faulty
	codes  *codeMaker
	verify func(token string) (login.Claims, error)
	drop   atomic.Bool // messages between replicas are lost
}

// codeMaker makes QR codes as WeChat would.
type codeMaker struct {
	calls atomic.Int64
	life  time.Duration
	err   error
}

func (m *codeMaker) Create(_ context.Context, account, scene string, life time.Duration) (login.QRCode, error) {
	if m.err != nil {
		return login.QRCode{}, m.err
	}
	n := m.calls.Add(1)
	if m.life > 0 {
		life = m.life
	}
	return login.QRCode{AppID: "wx-" + account, Ticket: fmt.Sprint("ticket-", n, scene), URL: "http://weixin.qq.com/q/" + scene,
		ImageURL: "https://mp.weixin.qq.com/cgi-bin/showqrcode?ticket=" + scene, Life: life}, nil
}

// faulty is a store that can be away or lose everything.
type faulty struct {
	login.Store
	away, lost atomic.Bool
	created    func(login.Ticket) // between the store's step and its answer
}

func (f *faulty) Create(ctx context.Context, t login.Ticket, ttl time.Duration) (login.Ticket, error) {
	t, err := f.Store.Create(ctx, t, ttl)
	if err == nil && f.created != nil {
		f.created(t)
	}
	return t, err
}

func (f *faulty) GetMany(ctx context.Context, ids []string) ([]login.Ticket, error) {
	if f.away.Load() {
		return nil, login.ErrStoreUnavailable
	}
	if f.lost.Load() {
		return nil, nil
	}
	return f.Store.GetMany(ctx, ids)
}

func (f *faulty) Get(ctx context.Context, id string) (login.Ticket, error) {
	if f.away.Load() {
		return login.Ticket{}, login.ErrStoreUnavailable
	}
	if f.lost.Load() {
		return login.Ticket{}, login.ErrUnauthorized
	}
	return f.Store.Get(ctx, id)
}

// loginConfig has generous limits; tests of limits set their own.
func loginConfig() *Config {
	off := Rate{Off: true}
	return &Config{
		TokenAckTimeout: Duration(2 * time.Second), LimitQRCodesSocket: off, LimitQRCodesIP: off,
		LimitHandshakes: off, LimitConnections: Count{Off: true}, LimitConnectionsNode: Count{Off: true},
	}
}

// inLogin runs f in a synctest bubble with replicas that share a store. Their
// messages reach each other at once, unless they are told to drop them.
func inLogin(t *testing.T, n int, change func(*Config, *login.ServiceOptions), f func(t *testing.T, rs []*replica)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := &faulty{Store: login.NewMemory()}
		rs := make([]*replica, n)
		for i := range rs {
			rs[i] = newReplica(t, store, rs, change)
		}
		f(t, rs)
	})
}

// eachLogin runs f against replicas with each store: the one in memory, in a bubble,
// and Redis, with its adapter and in real time.
func eachLogin(t *testing.T, n int, change func(*Config, *login.ServiceOptions), f func(t *testing.T, rs []*replica)) {
	t.Run("memory", func(t *testing.T) { inLogin(t, n, change, f) })
	t.Run("redis", func(t *testing.T) {
		server := startRedis(t)
		rs := make([]*replica, n)
		for i := range rs {
			rs[i] = redisReplica(t, server.addr(), change)
		}
		f(t, rs)
	})
}

func newReplica(t *testing.T, store *faulty, all []*replica, change func(*Config, *login.ServiceOptions)) *replica {
	t.Helper()
	r := &replica{store: store, codes: &codeMaker{}}
	r.server = sockettest.NewServer(t, &socketio.Options{
		Logger: slog.New(slog.DiscardHandler),
		NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
			return &bus{LocalAdapter: l, self: r, all: all}, nil
		},
	})
	cfg, o := loginConfig(), login.ServiceOptions{}
	if change != nil {
		change(cfg, &o)
	}
	r.build(t, cfg, o)
	return r
}

// build puts the login on r's server and store, and runs it until the test ends.
func (r *replica) build(t *testing.T, cfg *Config, o login.ServiceOptions) {
	t.Helper()
	keys, err := login.ParseKeys("hs256:" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := login.NewIssuer(&login.IssuerOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	r.verify = issuer.Verify
	m := newMetrics(func() float64 { return 0 })
	def := &account{Account: Account{Name: "default"}}
	as := &accounts{inOrder: []*account{def}, byName: map[string]*account{"": def, "default": def}}
	m.knowAccounts(as.inOrder)
	o.Store, o.Issuer, o.QRCodes, o.Counter = r.store, issuer, r.codes, m
	r.loginNamespace, err = newLoginNamespace(loginDeps{
		ioServer: r.server.Server, config: cfg, accounts: as, admission: newAdmission(cfg, m), metrics: m, log: slog.New(slog.DiscardHandler),
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { // ends with stop
		defer close(ended)
		r.runPolls(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
}

// bus carries server-side events from one replica to the others, as Redis does.
type bus struct {
	*socketio.LocalAdapter
	self *replica
	all  []*replica
}

func (b *bus) ServerSideEmit(_ context.Context, args socketio.Value, _ bool) ([]socketio.Value, error) {
	for _, r := range b.all {
		if r != nil && r != b.self && !r.drop.Load() {
			r.namespace.LocalAdapter().DispatchServerSideEmit(args, nil)
		}
	}
	return nil, nil
}

// page is a browser on the login page.
type page struct {
	*sockettest.Client
	t *testing.T
}

func (r *replica) page(t *testing.T) page {
	t.Helper()
	return page{r.server.Connect("/login", nil), t}
}

// ask calls an event and decodes its acknowledgement.
func ask[T any](p page, event string, args ...any) (answer T) {
	p.t.Helper()
	if err := p.Call(event, args...).Bind(0, &answer); err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func (p page) qrcode(args ...any) qrcodeAnswer {
	p.t.Helper()
	q := ask[qrcodeAnswer](p, "qrcode", args...)
	if q.Ticket == "" {
		p.t.Fatalf("qrcode: %+v", q)
	}
	p.Expect("qrcode")
	return q
}

func (p page) resume(q qrcodeAnswer) stateAnswer {
	p.t.Helper()
	return ask[stateAnswer](p, "resume", resumeRequest{q.Ticket, q.Resume})
}

// expect reads the next event, which must have this name, and decodes its argument.
func expect[T any](p page, event string) (value T, m *sockettest.Message) {
	p.t.Helper()
	m = p.Next()
	if m.Name != event {
		p.t.Fatalf("got %s %v, want %s", m.Name, m.Args, event)
	}
	if err := m.Args.Bind(0, &value); err != nil {
		p.t.Fatal(err)
	}
	return value, m
}

func (p page) expectState(want login.State) stateAnswer {
	p.t.Helper()
	s, _ := expect[stateAnswer](p, "state")
	if s.State != want {
		p.t.Fatalf("state %s, want %s", s.State, want)
	}
	return s
}

// scan is what the webhook does on some replica.
func (r *replica) scan(t *testing.T, q qrcodeAnswer, openID string) (login.Ticket, login.Outcome) {
	t.Helper()
	ticket, outcome, err := r.loginService.Claim(t.Context(), login.Claim{AppID: "wx-default", WeChat: q.Ticket, OpenID: openID})
	if err != nil {
		t.Fatal(err)
	}
	return ticket, outcome
}

package callback_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/testenv"
	"posthouse/internal/wechat"
)

const (
	appID    = "wx1a2b3c4d5e6f7081"
	original = "gh_0a1b2c3d4e5f"
	token    = "simTokenForGateway2026"
	aesKey   = "kX7mQ2vB9sT4wZ1nL6pR8cY3fJ5hD0gA2eU7iO4xN9b"
	oldKey   = "PrevKeyPrevKeyPrevKeyPrevKeyPrevKeyPrevKeyP"
	alice    = "oSIM0uAbCdEfGhIjKlMnOpQrStUv"
	bob      = "oSIM0uZyXwVuTsRqPoNmLkJiHgFe"
	scene    = "L1.q7Yx2Jm0T4uVb9cZkE8sNw"
)

// claims is the login service's part in these tests: by default the first person
// gets the ticket.
type claims struct {
	mu    sync.Mutex
	calls []login.Claim
	owner map[string]string
	fail  func(n int) error // by call, from 1
	do    func(context.Context, login.Claim) (login.Ticket, login.Outcome, error)
}

func (c *claims) Claim(ctx context.Context, l login.Claim) (login.Ticket, login.Outcome, error) {
	c.mu.Lock()
	c.calls = append(c.calls, l)
	n, do, fail := len(c.calls), c.do, c.fail
	c.mu.Unlock()
	if fail != nil {
		if err := fail(n); err != nil {
			return login.Ticket{}, "", err
		}
	}
	if do != nil {
		return do(ctx, l)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == nil {
		c.owner = map[string]string{}
	}
	t := login.Ticket{ID: l.Scene, State: login.Done, OpenID: l.OpenID}
	switch c.owner[l.Scene] {
	case "":
		c.owner[l.Scene] = l.OpenID
		return t, login.OutcomeClaimed, nil
	case l.OpenID:
		return t, login.OutcomeSame, nil
	}
	return t, login.OutcomeTaken, nil
}

func (c *claims) made() []login.Claim {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]login.Claim(nil), c.calls...)
}

// loginParts is a callback.Login of fakes; what has none knows nothing.
type loginParts struct {
	claims interface {
		Claim(context.Context, login.Claim) (login.Ticket, login.Outcome, error)
	}
	typist *typist
	people *people
}

// partsOf returns the fakes of a rig's login service, to exchange them.
func partsOf(o *callback.Options) *loginParts { return o.Login.(*loginParts) }

func (p *loginParts) Claim(ctx context.Context, c login.Claim) (login.Ticket, login.Outcome, error) {
	return p.claims.Claim(ctx, c)
}

func (p *loginParts) ClaimCode(ctx context.Context, c login.Claim, text string) (login.Ticket, login.Outcome, error) {
	if p.typist == nil {
		return login.Ticket{}, login.OutcomeUnknown, nil
	}
	return p.typist.ClaimCode(ctx, c, text)
}

func (p *loginParts) Confirm(ctx context.Context, appID, openID, number string, at time.Time) (login.Ticket, login.Outcome, error) {
	if p.typist == nil {
		return login.Ticket{}, login.OutcomeUnknown, nil
	}
	return p.typist.Confirm(ctx, appID, openID, number, at)
}

func (p *loginParts) Deny(ctx context.Context, appID, openID string, at time.Time) (login.Ticket, login.Outcome, error) {
	if p.typist == nil {
		return login.Ticket{}, login.OutcomeUnknown, nil
	}
	return p.typist.Deny(ctx, appID, openID, at)
}

func (p *loginParts) Forget(ctx context.Context, appID, openID string, at time.Time) error {
	if p.people == nil {
		return nil
	}
	return p.people.Forget(ctx, appID, openID, at)
}

// dedupe is the store's two-stage dedupe, with a fault to inject.
type dedupe struct {
	mu      sync.Mutex
	entries map[string]*dedupeEntry
	fail    error         // answers every call
	slow    time.Duration // delays every call, or until its context ends
}

type dedupeEntry struct {
	done  bool
	reply []byte
	ends  time.Time
}

func newDedupe() *dedupe { return &dedupe{entries: map[string]*dedupeEntry{}} }

func (d *dedupe) trouble(ctx context.Context) error {
	d.mu.Lock()
	slow, fail := d.slow, d.fail
	d.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fail
}

func (d *dedupe) Once(ctx context.Context, key string, lease time.Duration) (login.WebhookStage, []byte, error) {
	if err := d.trouble(ctx); err != nil {
		return 0, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entries[key]; e != nil && time.Now().Before(e.ends) {
		if e.done {
			return login.StageDone, e.reply, nil
		}
		return login.StageProcessing, nil, nil
	}
	d.entries[key] = &dedupeEntry{ends: time.Now().Add(lease)}
	return login.StageFirst, nil, nil
}

func (d *dedupe) Finish(ctx context.Context, key string, reply []byte, ttl time.Duration) error {
	if err := d.trouble(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries[key] = &dedupeEntry{done: true, reply: reply, ends: time.Now().Add(ttl)}
	return nil
}

type notifier struct {
	mu   sync.Mutex
	told []string
	err  error
}

func (n *notifier) Notify(_ context.Context, t login.Ticket) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, t.ID)
	return n.err
}

// counts are the metrics, summed by their labels.
type counts struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counts) add(labels ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[strings.Join(labels, " ")]++
}

func (c *counts) of(label string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[label]
}

func (c *counts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

func (c *counts) Answered(a, kind, how string, _ time.Duration) { c.add("answered", a, kind, how) }
func (c *counts) Refused(a, reason string)                      { c.add("refused", a, reason) }
func (c *counts) Claimed(a, outcome string)                     { c.add("claimed", a, outcome) }
func (c *counts) Fault(a, what string)                          { c.add("fault", a, what) }

// rig is a webhook with everything around it faked but the dedupe store.
type rig struct {
	*callback.Handler
	claims   *claims
	dedupe   *dedupe
	notifier *notifier
	counts   *counts
	log      *testenv.Buffer
}

// newRig makes a webhook for one secure account; change sees the options first.
func newRig(t testing.TB, change func(*callback.Options)) *rig {
	t.Helper()
	r := &rig{claims: &claims{}, dedupe: newDedupe(), notifier: &notifier{}, counts: &counts{}, log: &testenv.Buffer{}}
	o := callback.Options{
		Accounts: []callback.Account{{
			AppID: appID, OriginalID: original, Token: token, AESKey: aesKey, PreviousAESKey: oldKey,
		}},
		Login: &loginParts{claims: r.claims}, Dedupe: r.dedupe, Notifier: r.notifier, Metrics: r.counts,
		Logger: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	h, err := callback.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	r.Handler = h
	return r
}

func plain(o *callback.Options) { o.Accounts[0].Mode = wechat.Plain }

// event is the body of a pushed event.
func event(from, name, key string, at time.Time) string {
	ticket := ""
	if key != "" {
		ticket = "<Ticket><![CDATA[gQFc8DwAAAAAAAAAAS1odHRwOi8]]></Ticket>"
	}
	return fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName>"+
		"<CreateTime>%d</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[%s]]></Event>"+
		"<EventKey><![CDATA[%s]]></EventKey>%s</xml>", original, from, at.Unix(), name, key, ticket)
}

func scan(from string) string { return event(from, "SCAN", scene, time.Now()) }

func text(from, content string, id int) string {
	return fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName>"+
		"<CreateTime>%d</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[%s]]></Content>"+
		"<MsgId>%d</MsgId></xml>", original, from, time.Now().Unix(), content, id)
}

var nonces = struct {
	sync.Mutex
	n int
}{n: 100000}

func nonce() string {
	nonces.Lock()
	defer nonces.Unlock()
	nonces.n++
	return strconv.Itoa(nonces.n)
}

// request makes a signed push: a new delivery with every call.
func request(body string, at time.Time) *http.Request {
	n, ts := nonce(), strconv.FormatInt(at.Unix(), 10)
	q := url.Values{"timestamp": {ts}, "nonce": {n}, "signature": {wechat.Sign(token, ts, n)}, "openid": {bob}}
	return httptest.NewRequest(http.MethodPost, "/callback/wechat?"+q.Encode(), strings.NewReader(body))
}

func sealed(key wechat.Secret, id, body string, at time.Time) *http.Request {
	k, err := wechat.ParseAESKey(key)
	if err != nil {
		panic(err)
	}
	e := k.Seal([]byte(body), id)
	r := request("<xml><ToUserName><![CDATA["+original+"]]></ToUserName><Encrypt><![CDATA["+e+"]]></Encrypt></xml>", at)
	q := r.URL.Query()
	q.Set("encrypt_type", "aes")
	q.Set("msg_signature", wechat.Sign(token, q.Get("timestamp"), q.Get("nonce"), e))
	r.URL.RawQuery = q.Encode()
	return r
}

func secure(body string) *http.Request { return sealed(aesKey, appID, body, time.Now()) }

// again is the same delivery once more, byte for byte.
func again(r *http.Request, body string) *http.Request {
	c := r.Clone(r.Context())
	c.Body, c.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return c
}

// result is an answer; aborted means that the connection was closed without one.
type result struct {
	status  int
	body    string
	header  http.Header
	aborted bool
}

// send serves a request of the default account.
func (r *rig) send(req *http.Request) (res result) {
	w := httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // a panic's value
				panic(p)
			}
			res = result{aborted: true}
		}
	}()
	r.Account("").ServeHTTP(w, req)
	return result{status: w.Code, body: w.Body.String(), header: w.Header()}
}

// words opens a passive reply, checking what WeChat checks of it.
func words(t *testing.T, key wechat.Secret, body string) string {
	t.Helper()
	var outer struct {
		Encrypt, MsgSignature, Nonce string
		TimeStamp                    int64
		Content                      string
	}
	if err := xml.Unmarshal([]byte(body), &outer); err != nil {
		t.Fatalf("the answer is no XML: %v: %q", err, body)
	}
	if key == "" {
		return outer.Content
	}
	if got := wechat.Sign(token, strconv.FormatInt(outer.TimeStamp, 10), outer.Nonce, outer.Encrypt); got != outer.MsgSignature {
		t.Fatalf("MsgSignature %s, want %s", outer.MsgSignature, got)
	}
	k, err := wechat.ParseAESKey(key)
	if err != nil {
		t.Fatal(err)
	}
	inner, err := k.Open(outer.Encrypt, appID)
	if err != nil {
		t.Fatal(err)
	}
	var reply struct{ ToUserName, FromUserName, MsgType, Content string }
	if err := xml.Unmarshal(inner, &reply); err != nil {
		t.Fatal(err)
	}
	if reply.FromUserName != original || reply.MsgType != "text" {
		t.Fatalf("the reply is from %q, a %q", reply.FromUserName, reply.MsgType)
	}
	return reply.Content
}

package wechat_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/wechat"
)

// fakeWeChat answers without a network, so that it works in fake time. Paths
// without an answer of their own get a good one.
type fakeWeChat struct {
	mu      sync.Mutex // guards all below
	answers map[string]func(*http.Request) (*http.Response, error)
	calls   map[string]int
	client  *wechat.Client
}

func (f *fakeWeChat) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[r.URL.Path]++
	h := f.answers[r.URL.Path]
	f.mu.Unlock()
	if h != nil {
		return h(r)
	}
	switch r.URL.Path {
	case pathToken:
		return ok(`{"access_token":"T1","expires_in":7200}`)
	case pathQR:
		return ok(`{"ticket":"gQ","expire_seconds":60,"url":"http://x"}`)
	}
	return ok(`{"errcode":0,"errmsg":"ok"}`)
}

func ok(body string) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(body))}, nil
}

func (f *fakeWeChat) handle(path string, h func(*http.Request) (*http.Response, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = map[string]func(*http.Request) (*http.Response, error){}
	}
	f.answers[path] = h
}

func (f *fakeWeChat) answer(path, body string) {
	f.handle(path, func(*http.Request) (*http.Response, error) { return ok(body) })
}

func (f *fakeWeChat) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[path]
}

func (f *fakeWeChat) newClient(t testing.TB, cache wechat.TokenCache) *wechat.Client {
	t.Helper()
	c, err := wechat.NewClient(testAppID, testSecret, &wechat.ClientOptions{Transport: f, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// create makes a QR code with the fake's one client.
func (f *fakeWeChat) create(t testing.TB) error {
	t.Helper()
	if f.client == nil {
		f.client = f.newClient(t, nil)
	}
	return create(f.client)
}

func create(c *wechat.Client) error {
	_, err := c.CreateQRCode(context.Background(), "L1.x", time.Minute)
	return err
}

func asError(t testing.TB, err error) *wechat.Error {
	t.Helper()
	e, ok := errors.AsType[*wechat.Error](err)
	if !ok {
		t.Fatalf("%v is no *wechat.Error", err)
	}
	return e
}

func refused(*http.Request) (*http.Response, error) { return nil, errors.New("connection reset") }

func hangs(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

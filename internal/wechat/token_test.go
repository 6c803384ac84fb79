package wechat_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/wechat"
)

// stableToken is WeChat's side of stable_token: one token that normal calls
// repeat with its remaining life, and a new one in its last five minutes.
type stableToken struct {
	fakeWeChat

	mu     sync.Mutex // guards all below
	n      int
	text   string
	made   time.Time
	old    string // works beside its successor until oldEnd
	oldEnd time.Time
	forced int
	slow   time.Duration
}

func newStableToken() *stableToken {
	s := &stableToken{}
	s.handle(pathToken, s.token)
	s.handle(pathQR, s.qr)
	return s
}

func (s *stableToken) token(r *http.Request) (*http.Response, error) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var ask struct {
		Grant  string `json:"grant_type"`
		AppID  string `json:"appid"`
		Secret string `json:"secret"`
		Force  bool   `json:"force_refresh"`
	}
	if json.Unmarshal(raw, &ask) != nil || ask.Grant != "client_credential" || ask.AppID != testAppID || ask.Secret != testSecret || r.URL.RawQuery != "" {
		return ok(`{"errcode":40002,"errmsg":"bad"}`)
	}
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	<-time.After(slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	left := 2*time.Hour - time.Since(s.made)
	if s.text == "" || left <= 5*time.Minute || ask.Force {
		s.n++
		if s.old, s.oldEnd = s.text, s.made.Add(2*time.Hour); ask.Force {
			s.old = ""
		}
		s.text, s.made, left = fmt.Sprintf("T%d", s.n), time.Now(), 2*time.Hour
	}
	if ask.Force {
		s.forced++
	}
	return ok(fmt.Sprintf(`{"access_token":%q,"expires_in":%d}`, s.text, int(left.Seconds())))
}

func (s *stableToken) qr(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := r.URL.Query().Get("access_token")
	if token != s.text && (token != s.old || time.Now().After(s.oldEnd)) {
		return ok(`{"errcode":40001,"errmsg":"invalid credential"}`)
	}
	return ok(`{"ticket":"gQ","expire_seconds":60,"url":"http://x"}`)
}

// kill makes WeChat forget the token, as the force_refresh of another program does.
func (s *stableToken) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.old = "", ""
}

// caches are the two ways to share a token, for tests of both.
func caches(t *testing.T, test func(t *testing.T, s *stableToken, clients []*wechat.Client)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		s, cache := newStableToken(), wechat.NewMemoryTokenCache()
		var cs []*wechat.Client
		for range 3 {
			cs = append(cs, s.newClient(t, cache))
		}
		test(t, s, cs)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		rdb := redisServer(t)
		s := newStableToken()
		var cs []*wechat.Client
		for range 3 {
			cs = append(cs, s.newClient(t, wechat.NewRedisTokenCache(rdb)))
		}
		test(t, s, cs)
	})
}

// all runs f for every client, n at once each.
func all(clients []*wechat.Client, n int, f func(*wechat.Client)) {
	var wg sync.WaitGroup
	for _, c := range clients {
		for range n {
			wg.Go(func() { f(c) })
		}
	}
	wg.Wait()
}

// docs/reliability.md §3 row F29: three replicas with fifty logins each ask once.
func TestClient_AccessToken_ClusterAsksForOneToken(t *testing.T) {
	t.Parallel()
	caches(t, func(t *testing.T, s *stableToken, clients []*wechat.Client) {
		s.slow = 100 * time.Millisecond
		all(clients, 50, func(c *wechat.Client) {
			if err := create(c); err != nil {
				t.Error(err)
			}
		})
		if n := s.count(pathToken); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

// docs/reliability.md §3 row F28: a token that dies is refreshed once for all.
//
// docs/wechat.md §3.3 race 22
func TestClient_AccessToken_DeadTokenIsRefreshedOnceForAll(t *testing.T) {
	t.Parallel()
	caches(t, func(t *testing.T, s *stableToken, clients []*wechat.Client) {
		all(clients, 1, func(c *wechat.Client) { _ = create(c) })
		s.kill()
		s.slow = 50 * time.Millisecond
		before := s.count(pathToken)
		all(clients, 20, func(c *wechat.Client) {
			if err := create(c); err != nil {
				t.Error(err)
			}
		})
		if n := s.count(pathToken) - before; n != 1 {
			t.Errorf("refreshed %d times", n)
		}
	})
}

// The shared token is sealed: Redis sees neither it nor the AppSecret.
func TestTheSharedTokenIsSealed(t *testing.T) {
	t.Parallel()
	cache := &spyCache{TokenCache: wechat.NewMemoryTokenCache()}
	f := &fakeWeChat{}
	f.answer(pathToken, `{"access_token":"canaryAccessToken","expires_in":7200}`)
	c := f.newClient(t, cache)
	if err := create(c); err != nil {
		t.Fatal(err)
	}
	box, left, err := cache.Load(t.Context(), testAppID)
	if err != nil || len(box) == 0 || left < 7100*time.Second {
		t.Fatalf("%d bytes, %v, %v", len(box), left, err)
	}
	if strings.Contains(string(box), "canary") || strings.Contains(string(box), testSecret) {
		t.Errorf("%q", box)
	}
	// A process with another AppSecret, or a broken box, asks for itself.
	other, err := wechat.NewClient(testAppID, "anotherSecret", &wechat.ClientOptions{Transport: f, Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	if err := create(other); err != nil || f.count(pathToken) != 2 {
		t.Errorf("%v, asked %d times", err, f.count(pathToken))
	}
}

// Without Redis every replica asks for itself, which stable_token allows.
func TestWithoutTheCacheWeChatIsAskedDirectly(t *testing.T) {
	t.Parallel()
	for _, hang := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, cache := newStableToken(), &spyCache{TokenCache: wechat.NewMemoryTokenCache()}
			cache.set(!hang, hang)
			c := s.newClient(t, cache)
			start := time.Now()
			for range 10 {
				if err := create(c); err != nil {
					t.Fatal(err)
				}
			}
			if n := s.count(pathToken); n != 1 || time.Since(start) > 1500*time.Millisecond {
				t.Errorf("asked %d times, took %v", n, time.Since(start))
			}
		})
	}
}

// A replica that died with the lock costs the others two seconds, not ten.
func TestADeadLockHolderIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, cache := newStableToken(), wechat.NewMemoryTokenCache()
		if l, err := cache.Lock(t.Context(), testAppID, 10*time.Second); l == nil || err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if err := create(s.newClient(t, cache)); err != nil || time.Since(start) > 2200*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// A token is refreshed before its end, by one caller, and no other ever waits for
// it or gets a dead one: a day of logins every ten seconds on three replicas.
func TestADayOfTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, cache := newStableToken(), wechat.NewMemoryTokenCache()
		var clients []*wechat.Client
		for range 3 {
			clients = append(clients, s.newClient(t, cache))
		}
		for range 24 * 360 {
			for _, c := range clients {
				if err := create(c); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(10 * time.Second)
		}
		// 12 tokens of two hours, each asked for a few times near its end.
		if n := s.count(pathToken); s.n > 14 || n > 14*6 {
			t.Errorf("%d tokens, asked %d times", s.n, n)
		}
		if n := s.count(pathQR); n != 3*24*360 {
			t.Errorf("%d calls for %d codes: a token was refused", n, 3*24*360)
		}
	})
}

// The successor is there minutes before the end, so that a WeChat that is away
// just then harms no caller.
func TestTokensAreRefreshedAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStableToken()
		c := s.newClient(t, nil)
		for range 117 {
			if err := create(c); err != nil {
				t.Fatal(err)
			}
			<-time.After(time.Minute)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.n != 2 {
			t.Errorf("%d tokens three minutes before the end, want the second", s.n)
		}
	})
}

// A refresh ahead that fails leaves the old token in use.
func TestAFailedRefreshAheadIsNobodysError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStableToken()
		c := s.newClient(t, nil)
		if err := create(c); err != nil {
			t.Fatal(err)
		}
		s.handle(pathToken, hangs)
		<-time.After(2*time.Hour - 4*time.Minute)
		for range 20 {
			start := time.Now()
			if err := create(c); err != nil || time.Since(start) > time.Second {
				t.Fatalf("%v after %v", err, time.Since(start))
			}
			<-time.After(10 * time.Second)
		}
		if n := s.count(pathToken); n > 1+8 {
			t.Errorf("asked %d times", n)
		}
	})
}

// docs/wechat.md §1.2: never a loop, however WeChat insists that the token is bad,
// and force_refresh only when a normal call does not cure.
//
// docs/reliability.md §3 row F28
func TestClient_AccessToken_IncurableTokenIsNoStorm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStableToken()
		c := s.newClient(t, nil)
		s.handle(pathQR, func(*http.Request) (*http.Response, error) {
			return ok(`{"errcode":42001,"errmsg":"access_token expired"}`)
		})
		e := asError(t, create(c))
		if e.Class != wechat.ClassRefresh || e.Code != 42001 || s.count(pathQR) != 3 || s.count(pathToken) != 3 || s.forced != 1 {
			t.Errorf("%v: %d codes, %d tokens, %d forced", e, s.count(pathQR), s.count(pathToken), s.forced)
		}
		for range 600 {
			_ = create(c)
			<-time.After(100 * time.Millisecond)
		}
		if n := s.count(pathToken); n > 3+60/5+1 || s.forced != 1 {
			t.Errorf("in a minute: %d tokens, %d forced", n, s.forced)
		}
		// The forced ones stay within WeChat's 20 a day.
		for range 23 * 60 {
			_ = create(c)
			<-time.After(time.Minute)
		}
		if s.forced > 20 {
			t.Errorf("%d forced in a day", s.forced)
		}
	})
}

// A token killed at WeChat while a normal call still returns it: forced once.
func TestForceCuresWhatANormalCallDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newStableToken()
		c := s.newClient(t, nil)
		if err := create(c); err != nil {
			t.Fatal(err)
		}
		s.handle(pathQR, func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("access_token") == "T1" {
				return ok(`{"errcode":40001,"errmsg":"x"}`)
			}
			return s.qr(r)
		})
		if err := create(c); err != nil || s.forced != 1 {
			t.Errorf("%v, %d forced", err, s.forced)
		}
		if err := create(c); err != nil || s.forced != 1 {
			t.Errorf("%v, %d forced", err, s.forced)
		}
	})
}

// One 40001 out of the blue costs one normal call and no forced one.
func TestASpuriousRefusalIsRetriedOnce(t *testing.T) {
	t.Parallel()
	s := newStableToken()
	c := s.newClient(t, nil)
	refuse := true
	s.handle(pathQR, func(r *http.Request) (*http.Response, error) {
		if refuse {
			refuse = false
			return ok(`{"errcode":40001,"errmsg":"x"}`)
		}
		return s.qr(r)
	})
	if err := create(c); err != nil || s.forced != 0 || s.count(pathToken) != 2 {
		t.Errorf("%v, %d forced, %d tokens", err, s.forced, s.count(pathToken))
	}
}

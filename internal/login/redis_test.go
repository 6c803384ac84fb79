package login_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
	"posthouse/internal/testenv"
)

func TestRedisClientMustHonourContexts(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer rdb.Close()
	if _, err := login.NewRedis(rdb, nil); err == nil {
		t.Error("a client that ignores deadlines was accepted")
	}
}

// After a failover the new server knows no script.
func TestRedisForgetsTheScripts(t *testing.T) {
	eachRedis(t, func(t *testing.T, s *fixture) {
		r := newRig(t, s, nil)
		var ids []string
		for range 300 { // more than one round trip of GetMany
			ids = append(ids, r.start(t, login.StartRequest{}).Ticket.ID)
		}
		flush(t, s)
		got, err := r.Tickets(t.Context(), append(ids, "L1.nobody"))
		if err != nil || len(got) != len(ids) {
			t.Fatalf("%d tickets, %v", len(got), err)
		}
		flush(t, s)
		r.mustClaim(t, login.Claim{AppID: "wx-main", Scene: ids[0], OpenID: "ana"}, login.OutcomeClaimed)
	})
}

func flush(t *testing.T, s *fixture) {
	t.Helper()
	var err error
	switch rdb := s.rdb.(type) {
	case *redis.ClusterClient:
		err = rdb.ForEachMaster(t.Context(), func(ctx context.Context, one *redis.Client) error {
			return one.ScriptFlush(ctx).Err()
		})
	default:
		err = rdb.ScriptFlush(t.Context()).Err()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Everything expires, and no openid is in a key's name.
func TestRedisEveryKeyExpires(t *testing.T) {
	rdb := redisClient(t, []string{single(t)}, false)
	s := redisFixture(t, rdb)
	r := newRig(t, s, nil)
	a := r.start(t, login.StartRequest{Challenge: challenge})
	code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, "openid-of-ana"), login.OutcomeClaimed), "code")
	if _, err := r.Exchange(t.Context(), code, verifier); err != nil {
		t.Fatal(err)
	}
	r.Deny(t.Context(), "wx-main", "openid-of-ana", time.Time{})
	s.Once(t.Context(), "event of openid-of-ana", time.Second)
	s.Finish(t.Context(), "event of openid-of-ana", []byte("x"), time.Hour)
	s.Once(t.Context(), "other", time.Second)
	keys, err := rdb.Keys(t.Context(), s.prefix+"*").Result()
	if err != nil || len(keys) != 8 { // ticket, WeChat's ticket, code, person, tokens, revoked, two events
		t.Errorf("keys %v, %v", keys, err)
	}
	for _, key := range keys {
		left, err := rdb.PTTL(t.Context(), key).Result()
		if err != nil || left <= 0 || left > time.Hour {
			t.Errorf("%s lives %v, %v", key, left, err)
		}
		if strings.Contains(key, "openid") || strings.Contains(key, a.Ticket.WeChat) {
			t.Errorf("key %s tells who", key)
		}
	}
}

// docs/reliability.md §3 row F3: a Redis that hangs costs a request two seconds at most, and gives
// right answers when it is back.
func TestRedisStore_FrozenRedisFailsFastAndComesBack(t *testing.T) {
	addr, stop := startRedis(t)
	defer stop()
	rdb := redisClient(t, []string{addr}, false)
	store, err := login.NewRedis(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		if _, err := store.Create(t.Context(), login.Ticket{ID: fmt.Sprint("L1.", n), WeChat: fmt.Sprint("w", n), ResumeHash: "h"}, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	pid := strings.TrimSpace(field(t, rdb, "process_id"))
	signal := func(name string) {
		if out, err := exec.Command("kill", "-"+name, pid).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	signal("STOP")
	defer exec.Command("kill", "-CONT", pid).Run()
	began := time.Now()
	var wg sync.WaitGroup
	for n := range 20 {
		wg.Go(func() {
			if _, err := store.Get(context.Background(), fmt.Sprint("L1.", n)); !errors.Is(err, login.ErrStoreUnavailable) {
				t.Errorf("frozen: %v", err)
			}
		})
	}
	wg.Go(func() {
		if _, err := store.GetMany(context.Background(), []string{"L1.1", "L1.2"}); !errors.Is(err, login.ErrStoreUnavailable) {
			t.Errorf("frozen: %v", err)
		}
	})
	wg.Wait()
	if took := time.Since(began); took > 2500*time.Millisecond {
		t.Errorf("waited %v", took)
	}
	signal("CONT")
	for n := range 20 { // no reply of before is taken for one of now
		wg.Go(func() {
			got, err := store.Get(context.Background(), fmt.Sprint("L1.", n))
			if err != nil || got.WeChat != fmt.Sprint("w", n) {
				t.Errorf("ticket %d is %q, %v", n, got.WeChat, err)
			}
		})
	}
	wg.Wait()
}

func field(t *testing.T, rdb redis.UniversalClient, name string) string {
	t.Helper()
	info, err := rdb.Info(t.Context(), "server").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(info, name+":")
	value, _, _ := strings.Cut(after, "\r\n")
	return value
}

func TestRedisAway(t *testing.T) {
	rdb := redisClient(t, []string{"127.0.0.1:1"}, false)
	store, err := login.NewRedis(rdb, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	for name, do := range map[string]func() error{
		"Create":       func() error { _, err := store.Create(ctx, login.Ticket{ID: "a", WeChat: "w"}, time.Minute); return err },
		"Resume":       func() error { _, err := store.Resume(ctx, "w", "h", "s", false); return err },
		"Unbind":       func() error { return store.Unbind(ctx, "a", "s") },
		"Claim":        func() error { _, _, err := store.Claim(ctx, login.Claim{Scene: "a"}); return err },
		"Confirm":      func() error { _, _, err := store.Confirm(ctx, "a", "o", true); return err },
		"Delivered":    func() error { return store.Delivered(ctx, "a") },
		"End":          func() error { _, err := store.End(ctx, "a", login.Cancelled, "x", ""); return err },
		"Get":          func() error { _, err := store.Get(ctx, "a"); return err },
		"GetMany":      func() error { _, err := store.GetMany(ctx, []string{"a"}); return err },
		"Last":         func() error { _, err := store.Last(ctx, "a", "o", time.Time{}); return err },
		"PutCode":      func() error { return store.PutCode(ctx, "a", "h", time.Minute) },
		"Exchange":     func() error { _, err := store.Exchange(ctx, "h", "c"); return err },
		"Revoke":       func() error { _, err := store.Revoke(ctx, "a", "o", time.Minute); return err },
		"Revoked":      func() error { _, err := store.Revoked(ctx, 9); return err },
		"Forget":       func() error { _, err := store.Forget(ctx, "a", "o", time.Time{}); return err },
		"SetUnionID":   func() error { _, err := store.SetUnionID(ctx, "a", "o", "u"); return err },
		"RevokeLatest": func() error { _, err := store.RevokeLatest(ctx, "a", "o", time.Time{}); return err },
		"AssessRisk":   func() error { _, err := store.AssessRisk(ctx, "a", "o", login.Marks{Ticket: "t"}); return err },
		"Trust":        func() error { return store.Trust(ctx, "a", "o", login.Marks{Network: "n"}) },
		"Distrust":     func() error { return store.Distrust(ctx, "a", "o") },
		"Once":         func() error { _, _, err := store.Once(ctx, "k", time.Second); return err },
		"Finish":       func() error { return store.Finish(ctx, "k", nil, time.Second) },
	} {
		if err := do(); !errors.Is(err, login.ErrStoreUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// docs/reliability.md §4 row 36: what passes through Redis over many logins.
func TestRedisStore_TrafficHoldsNoSecret(t *testing.T) {
	logins := 1000
	if testing.Short() {
		logins = 50
	}
	addr := single(t)
	var seen strings.Builder
	whole := make(chan struct{})
	stop := testenv.Monitor(t, addr, func(line string) {
		seen.WriteString(line)
		if strings.Contains(line, "the end of the capture") {
			close(whole)
		}
	})
	rdb := redisClient(t, []string{addr}, false)
	r := newRig(t, redisFixture(t, rdb), nil)
	var secrets []string
	for n := range logins {
		a := r.start(t, login.StartRequest{Challenge: challenge})
		code := r.mustResult(t, r.mustClaim(t, scan(a.Ticket, fmt.Sprint("o", n)), login.OutcomeClaimed), "code")
		token, err := r.Exchange(t.Context(), code, verifier)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, a.Resume, code, token.JWT)
	}
	rdb.Echo(t.Context(), "the end of the capture")
	<-whole
	stop()
	text := seen.String()
	if strings.Count(text, "evalsha") < logins {
		t.Fatal("the capture is not whole")
	}
	for _, secret := range append(secrets, verifier, "eyJhbGciOi") {
		if strings.Contains(text, secret) {
			t.Fatalf("%q passed through Redis", secret)
		}
	}
}

func TestRedisShelfKeepsTheFirst(t *testing.T) {
	shelf, err := login.RedisShelf(redisClient(t, []string{single(t)}, false), "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := login.DevelopmentKey(t.Context(), shelf)
	if err != nil {
		t.Fatal(err)
	}
	b, err := login.DevelopmentKey(t.Context(), shelf)
	if err != nil || a.ID() != b.ID() {
		t.Errorf("%v and %v, %v", a, b, err)
	}
}

// With a secret Redis holds no key in the clear, and replicas with the same secret share
// one; another secret has another key.
func TestRedisShelf_WithASecret_KeepsNoKeyInTheClear(t *testing.T) {
	rdb := redisClient(t, []string{single(t)}, false)
	ids := map[string]string{}
	for _, secret := range []string{"one", "two", "one"} {
		shelf, err := login.RedisShelf(rdb, secret)
		if err != nil {
			t.Fatal(err)
		}
		key, err := login.DevelopmentKey(t.Context(), shelf)
		if err != nil {
			t.Fatal(err)
		}
		if known := ids[secret]; known != "" && known != key.ID() {
			t.Errorf("%s has two keys", secret)
		}
		ids[secret] = key.ID()
	}
	if ids["one"] == ids["two"] {
		t.Error("two secrets share a key")
	}
	keys, err := rdb.Keys(t.Context(), "posthouse:login:development-jwt-key:*").Result()
	if err != nil || len(keys) != 2 {
		t.Fatalf("keys %q, %v", keys, err)
	}
	for _, key := range keys {
		if text := rdb.Get(t.Context(), key).Val(); strings.Contains(text, "PRIVATE") || len(text) < 100 {
			t.Errorf("kept %q", text)
		}
		rdb.Set(t.Context(), key, "bytes of another program", 0)
	}
	shelf, err := login.RedisShelf(rdb, "one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := login.DevelopmentKey(t.Context(), shelf); err == nil || errors.Is(err, login.ErrStoreUnavailable) {
		t.Errorf("a damaged key: %v", err)
	}
}

package callback_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/callback"
	interop "posthouse/internal/interop/rig"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// The login service is everything the webhook asks for.
var (
	_ callback.Login    = (*login.Service)(nil)
	_ callback.Dedupe   = (*login.Memory)(nil)
	_ callback.Dedupe   = (*login.Redis)(nil)
	_ callback.IPSource = (*wechat.Client)(nil)
)

// Store is what the gateway's stores do.
type Store interface {
	login.Store
	callback.Dedupe
}

// oneAccount makes codes for the rig's account.
type oneAccount struct{ typed bool }

func (o oneAccount) Create(_ context.Context, _, scene string, life time.Duration) (login.QRCode, error) {
	if o.typed {
		return login.QRCode{AppID: appID, Typed: true, Life: life}, nil
	}
	return login.QRCode{AppID: appID, Ticket: "gQ" + scene, URL: "http://x/" + scene, Life: life}, nil
}

type noTokens struct{}

func (noTokens) Issue(context.Context, login.Identity, string, time.Time) (login.Token, error) {
	return login.Token{}, nil
}

// newLogin is a rig over the real login service and its memory store.
func newLogin(t *testing.T, typed bool, change func(*callback.Options)) (*rig, *login.Service, Store) {
	t.Helper()
	store := login.NewMemory()
	r, service := newLoginOn(t, store, typed, change)
	return r, service, store
}

// newLoginOn is newLogin over any store.
func newLoginOn(t *testing.T, store Store, typed bool, change func(*callback.Options)) (*rig, *login.Service) {
	t.Helper()
	told := &notifier{}
	service, err := login.NewService(&login.ServiceOptions{
		Store: store, Issuer: noTokens{}, QRCodes: oneAccount{typed}, Notifier: told,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(o *callback.Options) {
		o.Login, o.Dedupe, o.Notifier = service, store, nil
		if change != nil {
			change(o)
		}
	})
	r.notifier = told
	return r, service
}

// eachStore runs f with the store in memory and with Redis.
func eachStore(t *testing.T, f func(t *testing.T, store Store)) {
	t.Run("memory", func(t *testing.T) { f(t, login.NewMemory()) })
	t.Run("redis", func(t *testing.T) {
		addr, _ := interop.Redis(t)
		rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DisableIdentity: true})
		t.Cleanup(func() { rdb.Close() })
		store, err := login.NewRedis(rdb, nil)
		if err != nil {
			t.Fatal(err)
		}
		f(t, store)
	})
}

func start(t *testing.T, s *login.Service, replaces string) login.Started {
	t.Helper()
	started, err := s.Start(t.Context(), login.StartRequest{SocketID: "s1", Replaces: replaces})
	if err != nil {
		t.Fatal(err)
	}
	return started
}

func (r *rig) said(t *testing.T, body string) string {
	t.Helper()
	got := r.send(secure(body))
	if got.status != 200 {
		t.Fatalf("%+v", got)
	}
	if got.body == "success" {
		return got.body
	}
	return words(t, aesKey, got.body)
}

func scanOf(from string, s login.Started) string {
	return event(from, "SCAN", s.Ticket.ID, time.Now())
}

func state(t *testing.T, store Store, s login.Started) login.Ticket {
	t.Helper()
	ticket, err := store.Get(t.Context(), s.Ticket.ID)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestPush_WholeLogin(t *testing.T) {
	t.Parallel()
	r, service, store := newLogin(t, false, nil)
	s := start(t, service, "")
	if got := r.said(t, scanOf(alice, s)); got != "success" {
		t.Errorf("%q", got)
	}
	if ticket := state(t, store, s); ticket.State != login.Done || ticket.OpenID != alice || len(r.notifier.told) != 1 {
		t.Errorf("%+v, told %v", ticket, r.notifier.told)
	}
	if got := r.said(t, scanOf(bob, s)); !strings.Contains(got, "其他人") {
		t.Errorf("%q", got)
	}
	if ticket := state(t, store, s); ticket.OpenID != alice {
		t.Errorf("%+v", ticket)
	}
	// "Not you?"
	if got := r.said(t, text(alice, "不是我", 5)); !strings.Contains(got, "已取消") {
		t.Errorf("%q", got)
	}
	if ticket := state(t, store, s); !ticket.Revoked {
		t.Errorf("%+v", ticket)
	}
}

// docs/reliability.md §3 rows F31 and F34: late, refreshed, closed and unknown codes have their words, and
// give nothing.
func TestPush_CodesThatAreOverGiveNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, service, store := newLogin(t, false, nil)
		old := start(t, service, "")
		fresh := start(t, service, old.Ticket.ID)
		if got := r.said(t, scanOf(alice, old)); !strings.Contains(got, "已刷新") {
			t.Errorf("replaced: %q", got)
		}
		if _, err := service.Cancel(t.Context(), fresh.Ticket.ID, fresh.Ticket.SocketID); err != nil {
			t.Fatal(err)
		}
		if got := r.said(t, scanOf(alice, fresh)); !strings.Contains(got, "已关闭") {
			t.Errorf("cancelled: %q", got)
		}
		late, grace := start(t, service, ""), start(t, service, "")
		<-time.After(5*time.Minute + 14*time.Second)
		if got := r.said(t, scanOf(alice, grace)); got != "success" || state(t, store, grace).State != login.Done {
			t.Errorf("within the grace: %q", got)
		}
		<-time.After(2 * time.Second)
		if got := r.said(t, scanOf(alice, late)); !strings.Contains(got, "已过期") {
			t.Errorf("late: %q", got)
		}
		if got := r.said(t, scan(bob)); !strings.Contains(got, "已过期") {
			t.Errorf("unknown: %q", got)
		}
		for _, s := range []login.Started{old, fresh, late} {
			if ticket := state(t, store, s); ticket.OpenID != "" {
				t.Errorf("%+v", ticket)
			}
		}
	})
}

var clockTime = regexp.MustCompile(`\d\d:\d\d`)

// docs/reliability.md §4 row 38: with the confirm step a scan alone gives nothing.
func TestPush_ConfirmStepKeepsAScanFromLoggingIn(t *testing.T) {
	t.Parallel()
	for _, right := range []bool{true, false} {
		r, service, store := newLogin(t, false, func(o *callback.Options) { o.Accounts[0].Confirm = callback.ConfirmAlways })
		s := start(t, service, "")
		got := r.said(t, scanOf(alice, s))
		beside := clockTime.ReplaceAllString(got, "") // which may have the number by chance
		if !strings.Contains(got, "两位数字") || strings.Contains(beside, s.Ticket.Number) {
			t.Errorf("%q", got)
		}
		if ticket := state(t, store, s); ticket.State != login.Claimed {
			t.Errorf("%+v", ticket)
		}
		typed, want, says := s.Ticket.Number, login.Done, "success"
		if !right {
			typed, want, says = "00", login.Denied, "数字不一致"
		}
		if got := r.said(t, text(alice, typed, 1)); !strings.Contains(got, says) {
			t.Errorf("%q", got)
		}
		if ticket := state(t, store, s); ticket.State != want {
			t.Errorf("%+v, want %s", ticket, want)
		}
	}
}

// Accounts that may not make QR codes: the person types what the page shows.
func TestPush_TypedCodes(t *testing.T) {
	t.Parallel()
	r, service, store := newLogin(t, true, nil)
	s := start(t, service, "")
	if got := r.said(t, text(alice, " "+strings.ToUpper(s.Code[:4])+" "+s.Code[4:], 1)); got != "success" {
		t.Errorf("%q", got)
	}
	if ticket := state(t, store, s); ticket.State != login.Done || ticket.OpenID != alice {
		t.Errorf("%+v", ticket)
	}
	if got := r.said(t, text(bob, s.Code, 2)); !strings.Contains(got, "其他人") {
		t.Errorf("%q", got)
	}
	if got := r.said(t, text(bob, "password", 3)); got != "success" {
		t.Errorf("%q", got)
	}
}

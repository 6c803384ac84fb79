package callback_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/callback"
	"posthouse/internal/login"
)

// A panic in the work on a push is a bug of ours, so WeChat is told no error: its
// effect may be stored nowhere, hence one chance to come again, and no more than one.
func TestPush_Panic_IsLeftUnansweredOnceAndThenAcknowledged(t *testing.T) {
	always := func(context.Context, login.Claim) (login.Ticket, login.Outcome, error) { panic("a bug " + alice) }
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.claims.do = always
		body := scan(alice)
		if got := r.send(secure(body)); !got.aborted {
			t.Errorf("first delivery: %d %q", got.status, got.body)
		}
		for range 2 {
			if got := r.send(secure(body)); got.aborted || got.status != http.StatusOK || got.body != "success" {
				t.Errorf("repeat: %+v", got)
			}
		}
		if n := len(r.claims.made()); n != 2 {
			t.Errorf("%d claims", n)
		}
		if n := r.counts.of("fault default panic"); n != 2 {
			t.Errorf("%d panics counted", n)
		}
		if log := r.log.String(); !strings.Contains(log, "panic_test.go") || strings.Contains(log, alice) {
			t.Errorf("log without a stack, or with a person: %s", log)
		}
	})
}

func TestPush_PanicThatDoesNotComeAgain_TheRepeatLogsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.claims.fail = func(n int) error {
			if n == 1 {
				panic("once")
			}
			return nil
		}
		request := secure(scan(alice))
		raw, err := io.ReadAll(request.Body)
		if err != nil {
			t.Fatal(err)
		}
		body := string(raw)
		request = again(request, body)
		if got := r.send(request); !got.aborted {
			t.Errorf("first delivery: %+v", got)
		}
		// Whether WeChat's repeats carry a new nonce is not documented.
		if got := r.send(again(request, body)); got.status != http.StatusOK {
			t.Errorf("repeat: %+v", got)
		}
		if r.counts.of("claimed default claimed") != 1 {
			t.Errorf("%v", r.counts.all())
		}
	})
}

// A push without an effect that could be lost is acknowledged at once: a text that makes us
// panic must not let its author stop the account's pushes.
func TestPush_PanicWithoutAnEffect_IsAcknowledged(t *testing.T) {
	for name, change := range map[string]func(*callback.Options){
		"the dedupe store": func(o *callback.Options) { o.Dedupe = panicking{o.Dedupe} },
		"a counter":        func(o *callback.Options) { o.Metrics = panickingCounts{o.Metrics} },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *callback.Options) {
				o.Accounts[0].Upstream = "http://127.0.0.1:1"
				change(o)
			})
			if got := r.send(secure(text(alice, "hello", 1))); got.aborted || got.status != http.StatusOK || got.body != "success" {
				t.Errorf("%+v", got)
			}
		})
	}
}

type panicking struct{ callback.Dedupe }

func (panicking) Once(context.Context, string, time.Duration) (login.WebhookStage, []byte, error) {
	panic("a bug")
}

type panickingCounts struct{ callback.Metrics }

func (c panickingCounts) Fault(account, what string) {
	if what != "panic" {
		panic("a bug")
	}
	c.Metrics.Fault(account, what)
}

package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

// bomb is a store whose reads panic while it is armed.
type bomb struct {
	login.Store
	armed atomic.Bool
}

func (b *bomb) Get(ctx context.Context, id string) (login.Ticket, error) {
	if b.armed.Load() {
		panic("a bug in a task")
	}
	return b.Store.Get(ctx, id)
}

func (b *bomb) GetMany(ctx context.Context, ids []string) ([]login.Ticket, error) {
	if b.armed.Load() {
		panic("a bug in a task")
	}
	return b.Store.GetMany(ctx, ids)
}

// Looks, polls and deliveries panic; the process lives, the panics are counted, and the
// login goes on when the reason is gone.
func TestLogin_PanicInATask_EndsNeitherProcessNorLogin(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r := rs[0]
		b := &bomb{Store: r.store.Store}
		r.store.Store = b
		p := r.page(t)
		q := p.qrcode()
		b.armed.Store(true)
		r.scan(t, q, "ana")
		time.Sleep(3 * time.Second)
		b.armed.Store(false)
		p.expectState(login.Done)
		expect[string](p, "token")
		for _, task := range []string{"look", "poll"} {
			if n := r.metrics.sum(t, "posthouse_panics_total", task); n == 0 {
				t.Errorf("no panic of %q was counted", task)
			}
		}
	})
}

func TestPanicGuard_BackgroundTask_StartsAgainAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		m := newMetrics(func() float64 { return 0 })
		g := newPanicGuard(m, slog.New(slog.NewTextHandler(&text, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		starts := 0
		g.keepRunning(ctx, "test", func(ctx context.Context) {
			if starts++; starts < 100 {
				panic("again")
			}
			cancel()
			<-ctx.Done()
		})
		if starts != 100 || m.sum(t, "posthouse_panics_total", "test") != 99 {
			t.Errorf("%d starts", starts)
		}
		if n := strings.Count(text.String(), "panic in a task"); n < 10 || n > 25 {
			t.Errorf("%d lines", n)
		}
	})
}

func TestMetrics_LabelThatIsNotOfTheCode_BecomesOther(t *testing.T) {
	m := newMetrics(func() float64 { return 0 })
	m.knowAccounts([]*account{{Account: Account{Name: "main"}}})
	for _, account := range []string{"\xff\xfe", strings.Repeat("a", 5000), "someone", "a\nb"} {
		m.Count("claim", account, "\xff")
		webhookCounter{m}.Claimed(account, strings.Repeat("o", 5000))
		webhookCounter{m}.Answered(account, "login", "success", time.Second)
	}
	m.Count("claim", "main", "claimed")
	if n := m.sum(t, "posthouse_login_total", "claim", otherLabel, otherLabel); n != 4 {
		t.Errorf("%v others", n)
	}
	if n := m.sum(t, "posthouse_login_total"); n != 5 {
		t.Errorf("%v counts in all", n)
	}
	if n := m.sum(t, "posthouse_webhook_events_total", "claim", otherLabel, otherLabel); n != 4 {
		t.Errorf("%v others of the webhook", n)
	}
}

// sum adds the counters of a family that have all these label values.
func (m *metrics) sum(t *testing.T, family string, labels ...string) (total float64) {
	t.Helper()
	all, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.GetName() != family {
			continue
		}
		for _, one := range f.GetMetric() {
			var values []string
			for _, l := range one.GetLabel() {
				values = append(values, l.GetValue())
			}
			fits := true
			for _, want := range labels {
				n := slices.Index(values, want)
				if fits = fits && n >= 0; fits {
					values = slices.Delete(values, n, n+1)
				}
			}
			if fits {
				total += one.GetCounter().GetValue()
			}
		}
	}
	return total
}

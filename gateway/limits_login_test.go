package gateway

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/login"
)

// docs/wechat.md §3.4 guarantee G8: what one address may cost is bounded, whichever store there is;
// browsers are TestLogin_QRCodesPerBrowserAreLimited, accounts follow below.
func TestLogin_WorkPerAddressIsBounded(t *testing.T) {
	limits := func(c *Config, _ *login.ServiceOptions) {
		c.LimitQRCodesSocket, c.LimitQRCodesIP = Rate{N: 3, Per: time.Minute}, Rate{N: 8, Per: time.Minute}
	}
	eachLogin(t, 1, limits, func(t *testing.T, rs []*replica) {
		r := rs[0]
		for range 5 {
			p := r.page(t)
			for range 5 {
				a := ask[failureAnswer](p, "qrcode", qrcodeRequest{Refresh: true})
				if a.Error != nil && (a.Error.Code != "rate_limited" || a.Error.RetryAfter < 1) {
					t.Errorf("%+v", a.Error)
				}
			}
		}
		if n := r.codes.calls.Load(); n != 8 {
			t.Errorf("%d codes were made", n)
		}
	})
}

// The budget of a day is the account's, however many replicas spend it.
//
// docs/wechat.md §3.4 guarantee G8
func TestLogin_WorkPerAccountIsBounded(t *testing.T) {
	spendAll := func(t *testing.T, want int64, budgets ...*dailyBudget) {
		t.Helper()
		var spent atomic.Int64
		var wg sync.WaitGroup
		for _, b := range budgets {
			for range 4 {
				wg.Go(func() {
					for range 20 {
						if b.spendOne(context.WithoutCancel(t.Context())) {
							spent.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		if got := spent.Load(); got != want {
			t.Errorf("%d codes, want %d", got, want)
		}
	}
	limit := Count{N: 50}
	t.Run("memory", func(t *testing.T) { spendAll(t, 50, &dailyBudget{appID: "wx1", dayLimit: limit}) })
	t.Run("redis", func(t *testing.T) {
		rdb, err := newRedis([]string{"redis://" + startRedis(t).addr()}, redisFiles{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rdb.Close() })
		budget := func(c redis.UniversalClient) *dailyBudget {
			return &dailyBudget{redisClient: c, appID: "wx1", dayLimit: limit}
		}
		spendAll(t, 50, budget(rdb), budget(rdb), budget(rdb))
		spendAll(t, 50, &dailyBudget{redisClient: rdb, appID: "wx2", dayLimit: limit}) // another account's own
	})
	t.Run("minute", func(t *testing.T) {
		as := &accounts{byName: map[string]*account{"": {
			Account: Account{AppID: "wx1"}, perMinute: newKeyedRate[struct{}](Rate{N: 1, Per: time.Minute}, 0),
			dailyBudget: &dailyBudget{dayLimit: Count{N: 1}}, // spent by the first
		}}}
		as.byName[""].dailyBudget.spendOne(t.Context())
		if _, err := as.Create(t.Context(), "", "L1.x", time.Minute); failureOf(err).Code != "quota_exhausted" {
			t.Errorf("the day: %v", err)
		}
		if _, err := as.Create(t.Context(), "", "L1.y", time.Minute); failureOf(err).Code != "rate_limited" {
			t.Errorf("the minute: %v", err)
		}
	})
}

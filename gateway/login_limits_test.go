package gateway

import (
	"testing"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// Attempts that failed because something is down are not the person's: with six codes a
// minute, six codes are left when it is back.
func TestQRCode_AttemptsThatFailed_DoNotCountAgainstTheLimits(t *testing.T) {
	for name, down := range map[string]func(r *replica, down bool){
		"store_unavailable": func(r *replica, down bool) { r.store.away.Store(down) },
		"wechat_unavailable": func(r *replica, down bool) {
			r.codes.err = nil
			if down {
				r.codes.err = &wechat.Error{Class: wechat.ClassRetry}
			}
		},
		"quota_exhausted": func(r *replica, down bool) {
			r.codes.err = nil
			if down {
				r.codes.err = &wechat.Error{Class: wechat.ClassQuota}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			limits := func(c *Config, _ *login.ServiceOptions) {
				c.LimitQRCodesSocket = Rate{N: 6, Per: time.Minute}
				c.LimitQRCodesIP = Rate{N: 6, Per: time.Minute}
			}
			inLogin(t, 1, limits, func(t *testing.T, rs []*replica) {
				r, p := rs[0], rs[0].page(t)
				down(r, true)
				for n := range 15 {
					got := ask[failureAnswer](p, "qrcode")
					if got.Error == nil || got.Error.Code != name {
						t.Fatalf("try %d: %+v", n, got)
					}
					time.Sleep(2 * time.Second) // as retryAfter says
				}
				down(r, false)
				for range 6 {
					p.qrcode(qrcodeRequest{Refresh: true})
				}
				if got := ask[failureAnswer](p, "qrcode", qrcodeRequest{Refresh: true}); got.Error == nil || got.Error.Code != "rate_limited" {
					t.Errorf("the seventh code: %+v", got)
				}
			})
		})
	}
}

// A page that does not wait is told to: what is down is not hammered.
func TestQRCode_FailedAttemptsInARow_AreBounded(t *testing.T) {
	limits := func(c *Config, _ *login.ServiceOptions) { c.LimitQRCodesSocket = Rate{N: 6, Per: time.Minute} }
	inLogin(t, 1, limits, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		r.store.away.Store(true)
		codes := map[string]int{}
		for range 15 {
			codes[ask[failureAnswer](p, "qrcode").Error.Code]++
		}
		if codes["store_unavailable"] != 10 || codes["rate_limited"] != 5 {
			t.Errorf("answers %v", codes)
		}
	})
}

package main

import (
	"fmt"
	"time"
)

// wechatFaults are what happens to WeChat's API (docs/reliability.md §3).
var wechatFaults = []row{{
	id: "F27", alone: true, name: "WeChat's API hangs, breaks, answers 503, HTML or garbage",
	does:   "each fault in turn while new pages ask for codes; codes that are shown are scanned meanwhile",
	bar:    "new pages are answered `wechat_unavailable` ≤ 4 s; logins go on; pages get their code once the API is healthy",
	guards: "a call has 3 s, a breaker opens after five failures",
	logins: 100, rig: rig{replicas: 1},
	run: func(s *stage) {
		faults := []map[string]any{{"kind": "api_latency", "ms": 30000}, {"kind": "api_status", "status": 503}, {"kind": "api_reset"}, {"kind": "api_garbage"}}
		for i, fault := range faults {
			tabs := s.open(s.logins / len(faults))
			fault["api"] = "qrcode/create"
			s.faults(fault)
			before := s.refusals()
			newcomer := s.start(1, s.websocketOnly())[0]
			took, ok := s.until(10*time.Second, func() bool { return s.refusals() > before })
			s.must(ok && took <= s.slack(4*time.Second), "%v: a new code was refused after %v", fault["kind"], round(took))
			s.scan(tabs)
			goroutines := s.sizes(0).goroutines
			s.faults()
			healed, ok := s.until(15*time.Second, func() bool { return s.has(newcomer) })
			s.must(ok, "%v: no code after the API was healthy", fault["kind"])
			s.figure("%v: refused after %v, %.0f goroutines, a code %v after it was healthy", faults[i]["kind"], round(took), goroutines, round(healed))
		}
	},
}, {
	id: "F28", name: "WeChat does not know the token any more, is busy, has no quota left",
	does:   "the token is killed at WeChat; 50 pages ask at once at three replicas; then 45009",
	bar:    "one refresh for the whole cluster; 45009 is answered `quota_exhausted` and not asked again",
	guards: "a dead token is replaced once for all replicas",
	logins: 50, rig: rig{},
	run: func(s *stage) {
		s.open(3)
		tokens := func() float64 {
			return s.sum(`posthouse_wechat_api_total{account="default",api="/cgi-bin/stable_token"`)
		}
		creates := func() float64 {
			return s.sum(`posthouse_wechat_api_total{account="default",api="/cgi-bin/qrcode/create"`)
		}
		before := tokens()
		var out map[string]any
		_, err := s.post(s.cluster.WeChat+"/sim/accounts/"+s.appID()+"/kill-tokens", nil, &out)
		s.need(err)
		s.open(s.logins)
		refreshed := tokens() - before
		s.figure("%d pages after the token died: %.0f calls for a token", s.logins, refreshed)
		s.must(refreshed >= 1 && refreshed <= 2, "%.0f calls for a token", refreshed)
		s.faults(map[string]any{"kind": "api_error", "errcode": 45009, "api": "qrcode/create"})
		exhausted := 0
		answered := func(n int) bool {
			s.start(n, s.websocketOnly())
			before := exhausted
			_, ok := s.until(10*time.Second, func() bool {
				s.ledger.note(func() { exhausted = s.ledger.refused["quota_exhausted"] })
				return exhausted >= before+n
			})
			return ok
		}
		ok := answered(6) // each replica hears of it
		asked := creates()
		ok = answered(20) && ok
		s.must(ok, "%d pages were answered `quota_exhausted`", exhausted)
		s.figure("45009: %d answers `quota_exhausted`, the last 20 made %.0f calls to WeChat", exhausted, creates()-asked)
		s.must(creates() == asked, "%.0f more calls to WeChat", creates()-asked)
	},
}, {
	id: "F29", name: "replicas want a token in the same moment",
	does:   "three replicas start with an empty Redis and are asked for codes at once",
	bar:    "WeChat is asked for one token",
	guards: "one replica asks, by a lock in Redis",
	logins: 60, rig: rig{},
	run: func(s *stage) {
		s.open(s.logins)
		n := s.sum(`posthouse_wechat_api_total{account="default",api="/cgi-bin/stable_token"`)
		s.figure("%.0f calls for a token by three replicas", n)
		s.must(n == 1, "%.0f calls for a token", n)
	},
}}

// appID is the account of the local WeChat.
func (s *stage) appID() string {
	s.Helper()
	var out struct {
		Accounts []struct {
			AppID string `json:"appid"`
		} `json:"accounts"`
	}
	s.need(s.getJSON(s.cluster.WeChat+"/sim/accounts", &out))
	if len(out.Accounts) == 0 {
		s.need(fmt.Errorf("the local WeChat has no account"))
	}
	return out.Accounts[0].AppID
}

package main

import (
	"time"

	"posthouse/socketio/client"
)

// pageFaults are what people do with their pages (docs/reliability.md §3).
var pageFaults = []row{{
	id: "F34", name: "the page is closed and opened again",
	does:   "pages say `cancel` and leave; the old codes are scanned; new pages of the same persons log in",
	bar:    "no token for the old code, the scanner is answered; the new page gets its token",
	guards: "a cancelled ticket cannot be claimed",
	logins: 60, short: 10, rig: rig{},
	run: func(s *stage) {
		old := s.open(s.logins)
		for _, t := range old {
			state, err := client.Call[struct{ State string }](s.Context(), t.socket, "cancel")
			s.need(err)
			s.must(state.State == "cancelled", "cancel was answered %q", state.State)
			s.ledger.note(func() { t.login.end = "cancelled" })
			t.close()
		}
		claimed := func() float64 { return s.sum(`posthouse_login_total{account="default",reason="claimed",what="claim"}`) }
		began, before := time.Now(), claimed()
		s.scan(old)
		s.must(claimed() == before, "%.0f cancelled codes were claimed", claimed()-before)
		t := s.ledger.tally()
		s.figure("%d old codes scanned in %v: %d tokens", len(old), round(time.Since(began)), t.signedIn)
		s.must(t.signedIn == 0, "%d tokens for cancelled codes", t.signedIn)
		s.scan(s.open(s.logins))
		t = s.settle(lateAfter)
		s.must(t.signedIn == s.logins, "%d of %d new pages signed in", t.signedIn, s.logins)
	},
}, {
	id: "F35", name: "two sockets want one ticket",
	does:   "a stranger resumes with a wrong secret; a second tab resumes with the right one; then the code is scanned",
	bar:    "the stranger is answered `unauthorized`; only the tab that has the ticket now gets the token",
	guards: "a ticket is bound by its secret",
	logins: 40, short: 10, rig: rig{},
	run: func(s *stage) {
		tabs := s.open(s.logins)
		tokens := 0
		for _, t := range tabs {
			t.mu.Lock()
			ticket, secret := t.ticket, t.resume
			t.mu.Unlock()
			thief, err := client.Dial(s.Context(), s.gateways[0]+"/login", &client.Options{Transports: []string{"websocket"}, NoReconnect: true})
			s.need(err)
			for _, guess := range []string{"", "x", secret[:len(secret)-1] + "_"} {
				answer, err := client.Call[struct{ Error *failure }](s.Context(), thief, "resume", map[string]string{"ticket": ticket, "resume": guess})
				s.must(err == nil && answer.Error != nil, "a wrong secret was answered %+v %v", answer, err)
			}
			stolen := make(chan struct{}, 8)
			thief.On("token", func(*client.Event) { stolen <- struct{}{} })
			s.scanOne(t)
			s.until(5*time.Second, func() bool { return t.received.Load() > 0 })
			if t.received.Load() > 0 {
				tokens++
			}
			s.must(len(stolen) == 0, "the stranger got a token")
			s.need(thief.Manager().Close())
		}
		s.figure("%d strangers, %d tokens at the right pages", len(tabs), tokens)
	},
	tests: []goTests{{"./gateway", "TestLogin_TwoTabsOfOneBrowser|TestLogin_TicketResumedElsewhere"}},
}}

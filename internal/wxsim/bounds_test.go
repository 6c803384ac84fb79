package wxsim

import (
	"strconv"
	"testing"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s, err := New(&Options{Seed: 1, LogSize: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[0]
	for i := range maxCodes + 10 {
		s.addCode(a, "s"+strconv.Itoa(i), time.Minute, "http://127.0.0.1:3900/sim")
	}
	if n := len(s.codes); n > maxCodes || len(s.codeByID) != n || len(s.codeByTicket) != n || len(a.byScene) != n {
		t.Errorf("%d codes, %d ids, %d tickets, %d scenes", n, len(s.codeByID), len(s.codeByTicket), len(a.byScene))
	}
	if s.findCode("", "s0", "", a) != nil || s.findCode("", "s"+strconv.Itoa(maxCodes+9), "", a) == nil {
		t.Error("not the oldest codes went")
	}
	s.clock.ahead += time.Hour
	s.codesChecked = 0
	s.addCode(a, "last", time.Minute, "http://127.0.0.1:3900/sim")
	if n := len(s.codes); n != 1 {
		t.Errorf("%d codes an hour later", n)
	}
	for i := range maxPeople + 5 {
		s.relate(a, "p"+strconv.Itoa(i))
	}
	if len(s.people) != maxPeople || len(a.byOpenID) != maxPeople {
		t.Errorf("%d people, %d openids", len(s.people), len(a.byOpenID))
	}
	r := s.relate(a, "p100000")
	for range 2 * maxChatLines {
		r.say(chatLine{Text: "x"})
	}
	if len(r.chat) != maxChatLines {
		t.Errorf("%d lines of chat", len(r.chat))
	}
	for range 2 * maxRids {
		s.rememberRid(s.newRid(time.Now()), ridRecord{})
	}
	if len(s.rids) > maxRids {
		t.Errorf("%d rids", len(s.rids))
	}
}

func TestLogKeepsTheLatestPushes(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{LogSize: 10}, answers(200, "success"), func(t *testing.T, s *Sim, _ *wire) {
		for range 25 {
			text(t, s, "ann")
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := s.latest(100, func(*Push) bool { return true }); len(got) != 10 || got[0].ID != 25 {
			t.Errorf("%d kept, latest %d", len(got), got[0].ID)
		}
	})
}

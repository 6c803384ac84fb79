package adapter

import (
	"testing"
	"testing/synctest"
	"time"
)

// A node without its own subscription hears no beats: it must not take the others for
// silent, or requests would leave them out without a word.
func TestPeers_WhileDeaf_NobodyFallsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		canHear := true
		p := newPeers("me", 5*time.Second, func([]byte) {}, func(uid string) { t.Errorf("%s fell silent", uid) })
		p.canHear = func() bool { return canHear }
		p.receiveMessage([]byte(`{"uid":"other","type":"beat"}`))
		canHear = false
		for range 10 {
			time.Sleep(5 * time.Second)
			p.dropSilent()
		}
		canHear = true
		time.Sleep(10 * time.Second)
		p.dropSilent()
		if alive, silent := p.nodeNames(); len(alive) != 1 || len(silent) != 0 {
			t.Errorf("alive %v, silent %v", alive, silent)
		}
		p.onNodeLeft = func(string) {}
		time.Sleep(5 * time.Second)
		p.dropSilent()
		if alive, silent := p.nodeNames(); len(alive) != 0 || len(silent) != 1 {
			t.Errorf("later alive %v, silent %v", alive, silent)
		}
	})
}

// A node that fell silent and answers, or sends a message, before its next beat lives: a
// request that left it out would end without its answer, and without an error.
func TestPeers_SilentNodeThatAnswers_IsCountedAgain(t *testing.T) {
	for name, hears := range map[string]func(p *presence){
		"an answer":  func(p *presence) { p.heardFrom("other") },
		"a message":  func(p *presence) { p.rememberForeign("other") },
		"of another": func(p *presence) { p.heardFrom("stranger") },
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPeers("me", 5*time.Second, func([]byte) {}, func(string) {})
			p.receiveMessage([]byte(`{"uid":"other","type":"beat"}`))
			time.Sleep(time.Minute)
			p.dropSilent()
			hears(p)
			alive, silent := p.nodeNames()
			if want := name != "of another"; (len(alive) == 1) != want || (len(silent) == 0) != want || p.isGo("other") != want {
				t.Errorf("%s: alive %v, silent %v", name, alive, silent)
			}
		})
	}
}

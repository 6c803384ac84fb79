package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/login"
)

const (
	testVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	testChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func TestLoginOfAPageThatDoesNotAcknowledge(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		p.Emit("qrcode") // as the seed's front end: no acknowledgement, an event
		q, _ := expect[qrcodeAnswer](p, "qrcode")
		if q.ExpiresIn != 300 || q.Account != "default" || q.URL == "" || q.ImageURL == "" || len(q.Resume) != 43 {
			t.Fatalf("qrcode %+v", q)
		}
		ticket, _ := r.scan(t, q, "ana")
		p.expectState(login.Done)
		token, _ := expect[string](p, "token")
		claims, err := r.verify(token)
		if err != nil || claims.OpenID != "ana" || claims.JTI != ticket.JTI {
			t.Fatalf("token %+v, %v", claims, err)
		}
		flushed := time.Now()
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if got, _ := r.loginService.Ticket(t.Context(), ticket.ID); got.Delivered {
			t.Error("delivered before its time")
		}
		p.Disconnected()
		if took := time.Since(flushed); took != 2*time.Second {
			t.Errorf("disconnected after %v", took)
		}
		if got, _ := r.loginService.Ticket(t.Context(), ticket.ID); !got.Delivered {
			t.Error("not delivered")
		}
	})
}

func TestLoginOfAPageThatAcknowledges(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		ticket, _ := r.scan(t, p.qrcode(), "ana")
		p.expectState(login.Done)
		_, m := expect[string](p, "token")
		began := time.Now()
		m.Ack()
		p.Disconnected()
		if took := time.Since(began); took != 0 {
			t.Errorf("disconnected %v after the acknowledgement", took)
		}
		if got, _ := r.loginService.Ticket(t.Context(), ticket.ID); !got.Delivered {
			t.Error("not delivered")
		}
	})
}

func TestTokenOfALostSocketIsSentAgain(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode()
		ticket, _ := r.scan(t, q, "ana")
		p.expectState(login.Done)
		first, _ := expect[string](p, "token")
		time.Sleep(1900 * time.Millisecond)
		p.Close()                           // before the two seconds: not delivered
		time.Sleep(5300 * time.Millisecond) // between two polls
		if got, _ := r.loginService.Ticket(t.Context(), ticket.ID); got.Delivered {
			t.Fatal("delivered to a lost socket")
		}
		p = r.page(t)
		began := time.Now()
		if s := p.resume(q); s.State != login.Done || s.ExpiresIn != 0 {
			t.Errorf("resumed %+v", s)
		}
		again, _ := expect[string](p, "token")
		if took := time.Since(began); took != 0 {
			t.Errorf("sent again after %v", took)
		}
		if again != first {
			t.Error("another token")
		}
		p.Disconnected()
		p = r.page(t)
		if s := p.resume(q); s.State != login.Done {
			t.Errorf("resumed %+v", s)
		}
		time.Sleep(3 * time.Second)
		p.Quiet()
	})
}

// A connection that is dead without anybody knowing must not count as delivery
// once its browser has come back.
func TestHalfOpenSocketDoesNotCountOnceResumed(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, old := rs[0], rs[0].page(t)
		q := old.qrcode()
		ticket, _ := r.scan(t, q, "ana")
		old.expectState(login.Done)
		expect[string](old, "token")
		time.Sleep(time.Second)
		p := r.page(t)
		p.resume(q)
		expect[string](p, "token")
		time.Sleep(1500 * time.Millisecond) // the old one's two seconds are over, not the new one's
		synctest.Wait()
		if got, _ := r.loginService.Ticket(t.Context(), ticket.ID); got.Delivered {
			t.Error("the old socket counted")
		}
		p.Disconnected()
	})
}

// docs/reliability.md §3 row F35
func TestLogin_LastSocketToResumeHasTheTicket(t *testing.T) {
	inLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		old := rs[0].page(t)
		q := old.qrcode()
		p := rs[1].page(t)
		if s := p.resume(q); s.State != login.Waiting || s.ExpiresIn != 300 {
			t.Errorf("resumed %+v", s)
		}
		old.expectState(stateMoved)
		rs[0].scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		time.Sleep(3 * time.Second)
		old.Quiet() // events about a ticket go to the bound socket only
	})
}

func TestTwoNotificationsAreOneToken(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		ticket, _ := r.scan(t, p.qrcode(), "ana")
		for range 3 {
			if err := r.Notify(t.Context(), ticket); err != nil {
				t.Fatal(err)
			}
		}
		p.expectState(login.Done)
		expect[string](p, "token")
		time.Sleep(1500 * time.Millisecond)
		p.Quiet()
	})
}

func TestCodeInsteadOfToken(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		q := p.qrcode(qrcodeRequest{Challenge: testChallenge})
		ticket, _ := r.scan(t, q, "ana")
		p.expectState(login.Done)
		first, m := expect[codeMessage](p, "code")
		if first.ExpiresIn != 60 || len(first.Code) != 43 {
			t.Errorf("code %+v", first)
		}
		m.Ack()
		p.Disconnected()
		// The page was reloaded before it could exchange.
		p = r.page(t)
		if s := p.resume(q); s.State != login.Done {
			t.Errorf("resumed %+v", s)
		}
		second, m := expect[codeMessage](p, "code")
		if _, err := r.loginService.Exchange(t.Context(), first.Code, testVerifier); !errors.Is(err, login.ErrUnauthorized) {
			t.Errorf("the killed code: %v", err)
		}
		token, err := r.loginService.Exchange(t.Context(), second.Code, testVerifier)
		if err != nil || token.JTI != ticket.JTI {
			t.Errorf("exchange: %v, %v", token.JTI, err)
		}
		m.Ack()
		p.Disconnected()
	})
}

func TestDrainWaitsForResultsOnTheirWay(t *testing.T) {
	inLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		r.scan(t, p.qrcode(), "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r.finishLogins(ctx)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("waited %v", took)
		}
		p.Disconnected()
	})
}

// The seed: emit and disconnect come from another replica, in any order of replicas.
func TestManyLoginsOverThreeReplicas(t *testing.T) {
	inLogin(t, 3, nil, func(t *testing.T, rs []*replica) {
		for n := range 60 {
			here, there := rs[n%3], rs[(n/3)%3]
			here.drop.Store(n%7 == 0)
			p := here.page(t)
			q := p.qrcode()
			ticket, _ := there.scan(t, q, "ana")
			p.expectState(login.Done)
			token, m := expect[string](p, "token")
			if c, err := here.verify(token); err != nil || c.JTI != ticket.JTI {
				t.Fatalf("login %d: %+v, %v", n, c, err)
			}
			m.Ack()
			p.Disconnected()
		}
		for _, r := range rs {
			synctest.Wait()
			r.attempts.mu.Lock()
			if len(r.attempts.openAttempts) != 0 {
				t.Errorf("%d attempts stayed", len(r.attempts.openAttempts))
			}
			r.attempts.mu.Unlock()
		}
	})
}

package gateway

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"posthouse/internal/testenv"

	"posthouse/internal/login"
)

// The races of docs/wechat.md §3.3 and the guarantees of docs/wechat.md §3.4 that are about sockets, each
// with both stores. Those about the ticket alone are in internal/login, those about
// WeChat's token in internal/wechat.

// soon is how long something takes that takes no time: with Redis it takes some.
const soon = 500 * time.Millisecond

// wants waits until the ticket is as the test wants it; a step may still be under way.
func (r *replica) wants(t *testing.T, id, what string, is func(login.Ticket) bool) login.Ticket {
	t.Helper()
	var got login.Ticket
	testenv.Until(t, 10*time.Second, "the ticket is "+what, func() bool {
		var err error
		if got, err = r.loginService.Ticket(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		return is(got)
	})
	return got
}

func delivered(t login.Ticket) bool { return t.Delivered }

// docs/wechat.md §3.3 race 1
func TestLogin_SocketReturnsWithANewID(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		old := rs[0].page(t)
		q := old.qrcode()
		old.Close()
		p := rs[1].page(t)
		if s := p.resume(q); s.State != login.Waiting || s.ExpiresIn < 290 {
			t.Errorf("resumed %+v", s)
		}
		rs[0].scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		if n := rs[0].codes.calls.Load() + rs[1].codes.calls.Load(); n != 1 {
			t.Errorf("%d codes were spent", n)
		}
	})
}

// docs/wechat.md §3.3 race 2
func TestLogin_SocketIsDownAtTheCallback(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		old := rs[0].page(t)
		q := old.qrcode(qrcodeRequest{Challenge: testChallenge})
		old.Close()
		ticket, _ := rs[1].scan(t, q, "ana")
		p := rs[1].page(t)
		if s := p.resume(q); s.State != login.Done {
			t.Errorf("resumed %+v", s)
		}
		code, m := expect[codeMessage](p, "code")
		m.Ack()
		token, err := rs[0].loginService.Exchange(t.Context(), code.Code, testVerifier)
		if err != nil || token.JTI != ticket.JTI {
			t.Errorf("exchanged %q, %v", token.JTI, err)
		}
	})
}

// docs/wechat.md §3.3 race 3
func TestLogin_CallbackLandsOnAnotherReplica(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		q := p.qrcode()
		began := time.Now()
		rs[1].scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		if took := time.Since(began); took > soon {
			t.Errorf("the hint took %v", took)
		}
	})
}

// docs/wechat.md §3.3 race 3
func TestLogin_LostHintCostsASecond(t *testing.T) {
	inLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		rs[0].drop.Store(true)
		p := rs[0].page(t)
		q := p.qrcode()
		began := time.Now()
		rs[1].scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		if took := time.Since(began); took > time.Second {
			t.Errorf("found after %v", took)
		}
	})
}

// The scan is there before the replica has bound the ticket to its socket, and before
// the page knows its code.
//
// docs/wechat.md §3.3 race 4
func TestLogin_ScanBeforeTheSocketIsBound(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		rs[0].store.created = func(ticket login.Ticket) {
			claim := login.Claim{AppID: ticket.AppID, Scene: ticket.ID, OpenID: "ana"}
			if _, o, err := rs[1].loginService.Claim(context.WithoutCancel(t.Context()), claim); err != nil || o != login.OutcomeClaimed {
				t.Errorf("%s, %v", o, err)
			}
		}
		p := rs[0].page(t)
		began := time.Now()
		p.Emit("qrcode")
		var order []string // the answer may come first, or the result
		var token string
		for range 3 {
			m := p.Next()
			order = append(order, m.Name)
			if m.Name == "token" {
				if err := m.Args.Bind(0, &token); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !slices.Contains(order, "qrcode") || slices.Index(order, "state") > slices.Index(order, "token") {
			t.Errorf("got %v", order)
		}
		if took := time.Since(began); took > time.Second+soon {
			t.Errorf("found after %v", took)
		}
		if c, err := rs[0].verify(token); err != nil || c.OpenID != "ana" {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

// A reload loses the socket and everything in the page's memory but what
// sessionStorage kept.
//
// docs/wechat.md §3.3 race 16
func TestLogin_PageReloadKeepsTheAttempt(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		q := p.qrcode(qrcodeRequest{Challenge: testChallenge})
		p.Close()
		p = rs[1].page(t)
		if s := p.resume(q); s.State != login.Waiting {
			t.Errorf("resumed %+v", s)
		}
		ticket, _ := rs[0].scan(t, q, "ana")
		p.expectState(login.Done)
		lost, _ := expect[codeMessage](p, "code")
		p.Close() // again, before it could exchange
		p = rs[0].page(t)
		p.resume(q)
		code, m := expect[codeMessage](p, "code")
		m.Ack()
		if _, err := rs[0].loginService.Exchange(t.Context(), lost.Code, testVerifier); err == nil {
			t.Error("the code before the reload is still good")
		}
		if token, err := rs[0].loginService.Exchange(t.Context(), code.Code, testVerifier); err != nil || token.JTI != ticket.JTI {
			t.Errorf("exchanged %q, %v", token.JTI, err)
		}
		if n := rs[0].codes.calls.Load() + rs[1].codes.calls.Load(); n != 1 {
			t.Errorf("%d codes were spent", n)
		}

		// With nothing kept it is a new attempt, and the old one gives it nothing.
		gone := rs[0].page(t)
		old := gone.qrcode()
		gone.Close()
		p = rs[0].page(t)
		if fresh := p.qrcode(); fresh.Ticket == old.Ticket {
			t.Error("a ticket without its proof")
		}
		rs[1].scan(t, old, "ana")
		<-time.After(1500 * time.Millisecond)
		p.Quiet()
	})
}

// docs/wechat.md §3.3 race 17
func TestLogin_TwoTabsOfOneBrowser(t *testing.T) {
	eachLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		a, b := rs[0].page(t), rs[0].page(t)
		qa, qb := a.qrcode(), b.qrcode()
		if qa.Ticket == qb.Ticket || qa.Resume == qb.Resume {
			t.Fatal("two tabs share an attempt")
		}
		if got := ask[failureAnswer](b, "resume", resumeRequest{qa.Ticket, qb.Resume}); got.Error == nil || got.Error.Code != "unauthorized" {
			t.Errorf("%+v", got)
		}
		rs[0].scan(t, qa, "ana")
		a.expectState(login.Done)
		expect[string](a, "token")
		b.Quiet()
	})
}

// A person who unfollows is logged out: before the token has arrived as well as after.
//
// docs/wechat.md §3.3 race 18
func TestLogin_UnsubscribeRightAfterLogsOut(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		q := p.qrcode()
		p.Close() // its result is pending
		pending, _ := rs[1].scan(t, q, "ana")
		if err := rs[1].loginService.Forget(t.Context(), "wx-default", "ana", time.Time{}); err != nil {
			t.Fatal(err)
		}
		p = rs[0].page(t)
		if s := p.resume(q); s.State != login.Denied {
			t.Errorf("resumed %+v", s)
		}
		<-time.After(1500 * time.Millisecond)
		p.Quiet()

		p = rs[0].page(t)
		ticket, _ := rs[1].scan(t, p.qrcode(), "bob")
		p.expectState(login.Done)
		expect[string](p, "token")
		if err := rs[1].loginService.Forget(t.Context(), "wx-default", "bob", time.Time{}); err != nil {
			t.Fatal(err)
		}
		p.expectState(login.Denied)
		revoked, err := rs[0].loginService.Revoked(t.Context(), 10)
		if err != nil || !slices.Contains(revoked, ticket.JTI) || !slices.Contains(revoked, pending.JTI) {
			t.Errorf("revoked %v, %v", revoked, err)
		}
	})
}

// The replica that holds the sockets is rolled: results on their way arrive first,
// waiting pages go on elsewhere.
//
// docs/wechat.md §3.3 race 23
func TestLogin_RolledReplicaLosesNobody(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		waiting, arriving := rs[0].page(t), rs[0].page(t)
		q := waiting.qrcode()
		ticket, _ := rs[1].scan(t, arriving.qrcode(), "bob")
		arriving.expectState(login.Done)
		_, m := expect[string](arriving, "token")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		finished := make(chan struct{})
		go func() { // ends when the result was acknowledged
			defer close(finished)
			rs[0].finishLogins(ctx)
		}()
		m.Ack()
		arriving.Disconnected()
		<-finished
		rs[1].wants(t, ticket.ID, "delivered", delivered)
		waiting.Close() // as the drain does, or a kill

		p := rs[1].page(t)
		if s := p.resume(q); s.State != login.Waiting {
			t.Errorf("resumed %+v", s)
		}
		rs[1].scan(t, q, "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
	})
}

// The seed emits and disconnects back to back; here the token comes first, always.
//
// docs/wechat.md §3.3 race 24
func TestLogin_DisconnectNeverOvertakesTheToken(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		for n := range 20 {
			p := rs[n%2].page(t)
			ticket, _ := rs[1].scan(t, p.qrcode(), fmt.Sprint("person-", n))
			p.expectState(login.Done)
			_, m := expect[string](p, "token")
			if got, err := rs[0].loginService.Ticket(t.Context(), ticket.ID); err != nil || got.Delivered {
				t.Fatalf("delivered before it was acknowledged: %v, %v", got.Delivered, err)
			}
			m.Ack()
			p.Disconnected()
		}
		p := rs[0].page(t) // one that never acknowledges: two seconds after the flush
		rs[1].scan(t, p.qrcode(), "ana")
		p.expectState(login.Done)
		expect[string](p, "token")
		began := time.Now()
		p.Disconnected()
		if took := time.Since(began); took < 2*time.Second-soon || took > 2*time.Second+soon {
			t.Errorf("disconnected after %v", took)
		}
	})
}

// docs/wechat.md §3.3 race 24
func TestLogin_AcknowledgedAndGoneAtOnceIsDelivered(t *testing.T) {
	eachLogin(t, 1, nil, func(t *testing.T, rs []*replica) {
		r, p := rs[0], rs[0].page(t)
		ticket, _ := r.scan(t, p.qrcode(), "ana")
		p.expectState(login.Done)
		_, m := expect[string](p, "token")
		m.Ack()
		p.Disconnect()
		r.wants(t, ticket.ID, "delivered: its last word was lost", delivered)
	})
}

// At least once until it is over: hints get lost, sockets die before they
// acknowledge, and the result still comes, the same each time; then never again.
//
// docs/wechat.md §3.4 guarantee G4
func TestLogin_ResultIsNotifiedUntilItArrived(t *testing.T) {
	eachLogin(t, 3, nil, func(t *testing.T, rs []*replica) {
		p := rs[0].page(t)
		q := p.qrcode()
		// A replica that dies right after its claim: no socket is told anything.
		claim := login.Claim{AppID: "wx-default", WeChat: q.Ticket, OpenID: "ana"}
		ticket, o, err := rs[1].store.Claim(t.Context(), claim)
		if err != nil || o != login.OutcomeClaimed {
			t.Fatalf("%s, %v", o, err)
		}
		began := time.Now()
		p.expectState(login.Done)
		first, _ := expect[string](p, "token")
		limit := pollSuspect
		if rs[0].pollPlan().lastProof != nil { // once it is proved that messages arrive, reads are rare
			limit = pollTrusted
		}
		if took := time.Since(began); took > limit+soon {
			t.Errorf("pulled after %v", took)
		}
		for n := range 4 {
			p.Close()
			p = rs[n%3].page(t)
			if s := p.resume(q); s.State != login.Done {
				t.Errorf("resumed %+v", s)
			}
			if again, m := expect[string](p, "token"); again != first {
				t.Error("another token")
			} else if n == 3 {
				m.Ack()
			}
		}
		p.Disconnected()
		rs[0].wants(t, ticket.ID, "delivered", delivered)
		p = rs[1].page(t)
		if s := p.resume(q); s.State != login.Done {
			t.Errorf("resumed %+v", s)
		}
		<-time.After(1500 * time.Millisecond)
		p.Quiet()
	})
}

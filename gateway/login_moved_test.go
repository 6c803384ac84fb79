package gateway

import (
	"testing"

	"posthouse/internal/login"
)

// Another tab resumes the ticket, on the same replica or on another. The tab that had it
// is told at once, and nothing it does touches the ticket any more.
func TestLogin_TicketResumedElsewhere_OldSocketIsToldAndLosesIt(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, a page, q qrcodeAnswer){
		"cancel": func(t *testing.T, a page, _ qrcodeAnswer) {
			if got := ask[failureAnswer](a, "cancel"); got.Error == nil || got.Error.Code != "bad_request" {
				t.Errorf("cancel: %+v", got)
			}
		},
		"refresh": func(t *testing.T, a page, q qrcodeAnswer) {
			if fresh := a.qrcode(qrcodeRequest{Refresh: true}); fresh.Ticket == q.Ticket {
				t.Error("refresh answered the ticket of the other tab")
			}
		},
		"qrcode": func(t *testing.T, a page, q qrcodeAnswer) {
			if fresh := a.qrcode(); fresh.Ticket == q.Ticket {
				t.Error("qrcode answered the ticket of the other tab")
			}
		},
		"leave": func(_ *testing.T, a page, _ qrcodeAnswer) { a.Close() },
	} {
		for _, other := range []int{0, 1} {
			t.Run(name+[]string{", same replica", ", another replica"}[other], func(t *testing.T) {
				eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
					a, b := rs[0].page(t), rs[other].page(t)
					q := a.qrcode()
					if s := b.resume(q); s.State != login.Waiting {
						t.Fatalf("resumed %+v", s)
					}
					if s := a.expectState("moved"); s.ExpiresIn != 0 {
						t.Errorf("moved with %d s left", s.ExpiresIn)
					}
					do(t, a, q)
					if _, o := rs[0].scan(t, q, "ana"); o != login.OutcomeClaimed {
						t.Errorf("the scan: %s", o)
					}
					b.expectState(login.Done)
					expect[string](b, "token")
				})
			})
		}
	}
}

// The old tab acts before it is told, because the message between the replicas is lost.
func TestLogin_TicketResumedElsewhere_StoreRefusesTheOldSocket(t *testing.T) {
	for _, refresh := range []bool{false, true} {
		inLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
			rs[0].drop.Store(true)
			a, b := rs[0].page(t), rs[1].page(t)
			q := a.qrcode()
			b.resume(q)
			if refresh {
				ask[qrcodeAnswer](a, "qrcode", qrcodeRequest{Refresh: true})
			} else if got := ask[failureAnswer](a, "cancel"); got.Error == nil || got.Error.Code != "bad_request" {
				t.Errorf("cancel: %+v", got)
			}
			if _, o := rs[1].scan(t, q, "ana"); o != login.OutcomeClaimed {
				t.Errorf("the scan, refresh %v: %s", refresh, o)
			}
			b.expectState(login.Done)
			expect[string](b, "token")
		})
	}
}

// A page that resumed its ticket and asks for a code gets the one it has.
func TestQRCode_AfterResume_AnswersTheSameTicket(t *testing.T) {
	eachLogin(t, 2, nil, func(t *testing.T, rs []*replica) {
		a := rs[0].page(t)
		q := a.qrcode()
		a.Close()
		b := rs[1].page(t)
		b.resume(q)
		again := b.qrcode()
		again.ExpiresIn = q.ExpiresIn
		if again != q {
			t.Errorf("after resume %+v, before %+v", again, q)
		}
		if n := rs[0].codes.calls.Load() + rs[1].codes.calls.Load(); n != 1 {
			t.Errorf("%d codes were spent", n)
		}
		if fresh := b.qrcode(qrcodeRequest{Challenge: testChallenge}); fresh.Ticket == q.Ticket {
			t.Error("another challenge needs another ticket")
		}
	})
}

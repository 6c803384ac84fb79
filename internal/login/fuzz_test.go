package login_test

import (
	"strings"
	"testing"

	"posthouse/internal/login"
)

// Input of browsers and phones as codes, verifiers, tickets, secrets and texts never
// panics and opens nothing but the one right pair.
func FuzzWhatPeersSend(f *testing.F) {
	r := fuzzRig(f)
	typed, err := r.Start(f.Context(), login.StartRequest{Account: "main", SocketID: "s", Challenge: challenge})
	if err != nil {
		f.Fatal(err)
	}
	ticket, _, err := r.Claim(f.Context(), scan(typed.Ticket, "ana"))
	if err != nil {
		f.Fatal(err)
	}
	res, err := r.Result(f.Context(), ticket)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(res.Value, verifier)
	f.Add(typed.Ticket.WeChat, typed.Resume)
	f.Add("0o1liabc", challenge)
	f.Add(strings.Repeat("é", 200), "\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		if _, err := r.Exchange(t.Context(), a, b); err == nil && (a != res.Value || b != verifier) {
			t.Fatalf("exchanged %q with %q", a, b)
		}
		if _, err := r.Resume(t.Context(), a, b, "s", false); err == nil && (a != typed.Ticket.WeChat || b != typed.Resume) {
			t.Fatalf("resumed %q with %q", a, b)
		}
		if _, o, err := r.ClaimCode(t.Context(), login.Claim{AppID: "wx-main", OpenID: "bob"}, a); err != nil || o != login.OutcomeUnknown {
			t.Fatalf("%q was taken for a code: %s, %v", a, o, err)
		}
		if login.IsScene(a) && len(a) != 25 {
			t.Fatalf("%q is no scene", a)
		}
		login.ValidChallenge(a)
	})
}

package gateway_test

import (
	"testing"

	"github.com/coder/websocket"
)

// Where WeChat makes no codes, a page is told why, unless it said that it can show
// a code to type.
func TestNoMoreCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, env, fault, code string }{
		{"the day's budget is spent", "POSTHOUSE_QRCODES_PER_DAY=1", "", "quota_exhausted"},
		{"WeChat's quota is spent", "POSTHOUSE_LOG_LEVEL=info", `{"kind":"api_error","errcode":45009,"api":"qrcode/create"}`, "quota_exhausted"},
		{"WeChat is broken", "POSTHOUSE_LOG_LEVEL=info", `{"kind":"api_status"}`, "wechat_unavailable"},
		{"WeChat talks nonsense", "POSTHOUSE_LOG_LEVEL=info", `{"kind":"api_garbage"}`, "wechat_unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := free(t, c.env)
			p := open(t, base)
			if c.fault != "" {
				call(t, "POST", base+"/sim/faults", c.fault)
			} else {
				p.qrcode()
			}
			mustFit(t, "code", failure(t, p.ask("qrcode", map[string]any{"refresh": true})), c.code)
			raw, _, err := websocket.Dial(t.Context(), base+"/ws/signup", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.CloseNow()
			if err := raw.Write(t.Context(), websocket.MessageText, []byte(`{"type":"qrcode"}`)); err != nil {
				t.Fatal(err)
			}
			if _, data, err := raw.Read(t.Context()); err != nil || string(data) != `{"type":"failure","message":"`+c.code+`"}` {
				t.Errorf("the raw socket: %s %v", data, err)
			}
			if c.code != "quota_exhausted" {
				return
			}
			q := open(t, base)
			answer := q.ask("qrcode", map[string]any{"typed": true})
			mustFit(t, "keys", keys(t, answer), "account code expiresIn imageUrl resume ticket url")
			var typed struct{ Code string }
			q.parse(answer, &typed)
			act(t, base, "text", `{"person":"typist","text":"`+typed.Code+`"}`)
			q.next("token")
		})
	}
}

// The confirm step: the page shows a number, the person sends it.
func TestConfirm(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_CONFIRM=always")
	p := open(t, base)
	q := p.qrcode()
	scan(t, base, "alice", q.Ticket, true)
	var claimed struct {
		State     string
		ExpiresIn int
		Number    string
	}
	p.parse(string(p.next("state").args[0]), &claimed)
	if claimed.State != "claimed" || claimed.ExpiresIn < 1 || len(claimed.Number) != 2 {
		t.Fatalf("%+v", claimed)
	}
	act(t, base, "text", `{"person":"alice","text":"`+claimed.Number+`"}`)
	mustFit(t, "state", string(p.next("state").args[0]), `{"state":"done","expiresIn":0}`)
	p.next("token")

	no := open(t, base)
	q = no.qrcode()
	scan(t, base, "bob", q.Ticket, true)
	no.next("state")
	act(t, base, "text", `{"person":"bob","text":"不是我"}`)
	mustFit(t, "state", string(no.next("state").args[0]), `{"state":"denied","expiresIn":0}`)
	mustFit(t, "resume", open(t, base).ask("resume", map[string]any{"ticket": q.Ticket, "resume": q.Resume}), `{"state":"denied","expiresIn":0}`)
}

package gateway_test

import (
	"testing"
	"time"
)

// docs/wechat.md §1.4: the claim unionid, for accounts of an Open Platform account. The
// local WeChat's account belongs to one.
func TestUnionID(t *testing.T) {
	t.Parallel()
	base := free(t, "POSTHOUSE_WECHAT_UNIONID=on")
	login := func(person string) (first, again string, took time.Duration) {
		t.Helper()
		p := open(t, base)
		p.silent = true
		q := p.qrcode()
		began := time.Now()
		s := scan(t, base, person, q.Ticket, true)
		if len(s.Deliveries) != 1 || s.Deliveries[0].Status != 200 || *s.Deliveries[0].MS > 1000 {
			t.Errorf("%s: the webhook answered %+v", person, s.Deliveries)
		}
		p.parse(string(p.next("token").args[0]), &first)
		took = time.Since(began)
		p.conn.CloseNow() // before it counts as delivered
		p = open(t, base)
		p.ask("resume", map[string]any{"ticket": q.Ticket, "resume": q.Resume})
		p.parse(string(p.next("token").args[0]), &again)
		return first, again, took
	}
	unionID := func(jwt string) string {
		_, claims := token(t, base, jwt)
		id, _ := claims["unionid"].(string)
		return id
	}

	first, again, _ := login("alice")
	if len(unionID(first)) != 28 || again != first {
		t.Errorf("unionid %q, the same token after resume: %v", unionID(first), again == first)
	}
	next, _, _ := login("alice")
	other, _, _ := login("bob")
	if unionID(next) != unionID(first) || unionID(other) == unionID(first) {
		t.Error("the unionid is not the person's")
	}

	// docs/reliability.md §3 row F27 for user/info: whatever WeChat does, the login comes, and its token stays
	// what it was once WeChat is well again.
	for _, fault := range []string{
		`{"kind":"api_slow","api":"user/info","ms":30000}`, `{"kind":"api_status","api":"user/info"}`,
		`{"kind":"api_garbage","api":"user/info"}`, `{"kind":"api_reset","api":"user/info"}`,
		`{"kind":"api_error","api":"user/info","errcode":45009}`,
	} {
		a := call(t, "POST", base+"/sim/faults", fault)
		if a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", fault, a.StatusCode, a.body)
		}
		first, again, took := login("faulty")
		if id := unionID(first); id != "" || again != first || took > 2500*time.Millisecond {
			t.Errorf("%s: unionid %q after %v, the same token after resume: %v", fault, id, took, again == first)
		}
		call(t, "DELETE", base+"/sim/faults", "")
	}

	off := free(t)
	p := open(t, off)
	q := p.qrcode()
	scan(t, off, "alice", q.Ticket, true)
	var jwt string
	p.parse(string(p.next("token").args[0]), &jwt)
	if _, claims := token(t, off, jwt); claims["unionid"] != nil {
		t.Error("a unionid that nobody asked for")
	}
}

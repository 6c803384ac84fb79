package wxsim_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"posthouse/internal/wxsim"
)

func (r *rig) rules() []any {
	r.t.Helper()
	_, out := r.call(http.MethodGet, "/faults", nil)
	return out["rules"].([]any)
}

func TestRulesAreReplacedAddedAndRemoved(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	r.ok("/faults", object{"kind": "bad signature", "times": 1})
	r.ok("/faults", object{"kind": "api_error", "errcode": 45009})
	r.ok("/faults", object{"kind": "api_error", "errcode": -1})
	if got := r.rules(); len(got) != 3 || got[0].(object)["kind"] != "bad_signature" {
		t.Errorf("added: %v", got)
	}
	r.call(http.MethodDelete, "/faults?kind=api_error&errcode=45009", nil)
	if got := r.rules(); len(got) != 2 {
		t.Errorf("one removed: %v", got)
	}
	r.ok("/faults", object{"rules": []object{{"kind": "slow", "ms": 10}}, "seed": 3})
	if got := r.rules(); len(got) != 1 || got[0].(object)["kind"] != "delay" {
		t.Errorf("replaced: %v", got)
	}
	r.ok("/faults", []object{{"kind": "drop"}, {"kind": "duplicate"}})
	if got := r.rules(); len(got) != 2 {
		t.Errorf("replaced by a list: %v", got)
	}
	r.call(http.MethodDelete, "/faults", nil)
	if got := r.rules(); len(got) != 0 {
		t.Errorf("all removed: %v", got)
	}
	for _, bad := range []any{object{"kind": "explode"}, object{"rules": []any{nil}}, object{"kind": "drop", "often": true}, "7", "", object{"rules": make([]object, 101)}} {
		if status, out := r.call(http.MethodPost, "/faults", bad); status != http.StatusBadRequest || out["error"] == nil {
			t.Errorf("%v: %d %v", bad, status, out)
		}
	}
}

func TestAPIFaults(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	token := r.token()
	path := "/cgi-bin/getcallbackip?access_token=" + token
	once := func(rule object) {
		t.Helper()
		rule["times"] = 1
		r.ok("/faults", []object{rule})
	}
	raw := func() (int, string, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+"/sim"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body), err
	}

	once(object{"kind": "api_status"})
	if status, body, _ := raw(); status != http.StatusServiceUnavailable || !strings.Contains(body, "<html>") {
		t.Errorf("status: %d %s", status, body)
	}
	once(object{"kind": "api_garbage"})
	if status, body, _ := raw(); status != http.StatusOK || strings.HasPrefix(body, "{") {
		t.Errorf("garbage: %d %s", status, body)
	}
	once(object{"kind": "api_latency", "ms": 60})
	if began := time.Now(); r.works(token) != 0 || time.Since(began) < 60*time.Millisecond {
		t.Errorf("latency: %s", time.Since(began))
	}
	for _, code := range []int{-1, 40001, 45009, 48001, 50002, 89503, 12345} {
		once(object{"kind": "api_error", "errcode": code, "api": "getcallbackip"})
		if got := r.works(token); got != code {
			t.Errorf("error %d: %d", code, got)
		}
		if got := r.works(token); got != 0 {
			t.Errorf("after error %d: %d", code, got)
		}
	}
	once(object{"kind": "api_error", "api": "qrcode/create"})
	if got := r.works(token); got != 0 {
		t.Errorf("another API's error: %d", got)
	}
	once(object{"kind": "api_error", "account": "wxffffffffffffffff"})
	if got := r.works(token); got != 0 {
		t.Errorf("another account's error: %d", got)
	}
	once(object{"kind": "api_error", "account": wxsim.DevAccount().AppID, "errcode": 45009})
	if got := r.works(token); got != 45009 {
		t.Errorf("this account's error, by its token: %d", got)
	}
	once(object{"kind": "api_error", "account": wxsim.DevAccount().AppID, "errcode": 45009})
	if token, _ := r.stable(false); token != "" {
		t.Error("this account's error, by its credentials: a token came")
	}
	r.ok("/faults", []object{{"kind": "api_error", "probability": 0.4, "errcode": -1}}) // "-1 at a rate"
	busy := 0
	for range 100 {
		if r.works(token) == -1 {
			busy++
		}
	}
	if busy < 20 || busy > 60 {
		t.Errorf("busy %d of 100 at a rate of 0.4", busy)
	}
	r.ok("/faults", []object{{"kind": "api_reset"}}) // always: a client tries again when an idle connection breaks
	if _, _, err := raw(); err == nil {
		t.Error("reset: an answer came")
	}
}

func TestPushesGoToTheChosenReplica(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	urls := []string{r.hook.URL + "/a", r.hook.URL + "/b"}
	if err := r.sim.SetCallbacks(urls...); err != nil {
		t.Fatal(err)
	}
	r.ok("/faults", object{"kind": "replica", "replica": 1})
	for range 3 {
		out := r.ok("/text", object{"person": "ann", "text": "x"})
		if got := deliveries(out)[0].(object)["url"]; got != urls[1] {
			t.Errorf("went to %v", got)
		}
	}
	if err := r.sim.SetCallbacks("ftp://x"); err == nil {
		t.Error("a callback that is no web address was accepted")
	}
}

func TestLogTellsAttemptsAndVerdicts(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	r.reply(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "{}", http.StatusTeapot) })
	r.ok("/text", object{"person": "ann", "text": "secret words"})
	r.ok("/menu", object{"person": "bob", "key": "K"})
	_, out := r.call(http.MethodGet, "/log?person=ann", nil)
	pushes := out["pushes"].([]any)
	if len(pushes) != 1 || out["total"] != 2.0 {
		t.Fatalf("log %v", out)
	}
	p := pushes[0].(object)
	d := deliveries(p)[0].(object)
	if p["event"] != "text" || p["verdict"] != "illegal answer: HTTP 418" || !strings.Contains(p["message"].(string), "secret words") ||
		strings.Contains(d["sent"].(string), "secret words") || !strings.Contains(d["query"].(string), "msg_signature=") || d["status"] != 418.0 {
		t.Errorf("push %v", p)
	}
	if status, _ := r.call(http.MethodGet, "/log?limit=x", nil); status != http.StatusBadRequest {
		t.Errorf("bad limit: %d", status)
	}
	r.call(http.MethodDelete, "/log", nil)
	if _, out := r.call(http.MethodGet, "/log", nil); len(out["pushes"].([]any)) != 0 {
		t.Error("the log was not cleared")
	}
}

func TestClockOnlyGoesForward(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	for _, bad := range []string{"-5", "x", "-2h", "99999999999999999999", "NaN", "1000000h1"} {
		if status, _ := r.call(http.MethodPost, "/clock?advance="+bad, nil); status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, status)
		}
	}
	if out := r.ok("/clock", object{"advance": 1.5}); out["aheadMs"] != 1500.0 {
		t.Errorf("clock %v", out)
	}
	if _, out := r.call(http.MethodGet, "/clock", nil); out["aheadMs"] != 1500.0 {
		t.Errorf("clock %v", out)
	}
}

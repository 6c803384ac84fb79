package wxsim_test

import (
	"net/http"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func TestAccountsChangeWhileTheyRun(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	id := wxsim.DevAccount().AppID
	patch := func(body object) object {
		t.Helper()
		status, out := r.call(http.MethodPatch, "/accounts/"+id, body)
		if status != 200 {
			t.Fatalf("%v: %d %v", body, status, out)
		}
		return out
	}
	token := r.token()
	create := func() int {
		return errcode(r.ok("/cgi-bin/qrcode/create?access_token="+token, object{"action_name": "QR_STR_SCENE", "action_info": object{"scene": object{"scene_str": "x"}}}))
	}
	for _, c := range []struct {
		change object
		want   int
	}{
		{object{"lapsed": true}, 48001}, {object{"lapsed": false, "banned": true}, 48004},
		{object{"banned": false, "kind": "subscription"}, 48001}, {object{"kind": "service"}, 0},
	} {
		patch(c.change)
		if got := create(); got != c.want {
			t.Errorf("%v: %d, want %d", c.change, got, c.want)
		}
	}
	patch(object{"frozen": true})
	if got := errcode(r.plainToken(wxsim.DevAccount().Secret)); got != 40243 {
		t.Errorf("frozen: %d", got)
	}
	patch(object{"frozen": false, "allowIps": []string{"10.0.0.1"}})
	if got := errcode(r.plainToken(wxsim.DevAccount().Secret)); got != 40164 {
		t.Errorf("foreign address: %d", got)
	}
	for _, bad := range []object{{"mode": "x"}, {"kind": "sandbox", "mode": "secure"}, {"aesKey": "short"}, {"colour": "red"}} {
		if status, _ := r.call(http.MethodPatch, "/accounts/"+id, bad); status != 400 {
			t.Errorf("%v: %d", bad, status)
		}
	}
	if status, _ := r.call(http.MethodPatch, "/accounts/nobody", object{}); status != 404 {
		t.Errorf("unknown account: %d", status)
	}
}

func TestSecondAccountIsInventedAndSeparate(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	status, made := r.call(http.MethodPost, "/accounts", object{"name": "Second", "mode": "plain"})
	if status != http.StatusCreated || made["secret"] == "" {
		t.Fatalf("%d %v", status, made)
	}
	first := r.ok("/text", object{"person": "ann", "text": "x"})["openid"]
	second := r.ok("/text", object{"person": "ann", "text": "x", "account": made["appid"]})["openid"]
	if first == second {
		t.Error("one openid in two accounts")
	}
	if status, _ := r.call(http.MethodPost, "/accounts", object{"appid": made["appid"]}); status != http.StatusConflict {
		t.Errorf("the same appid again: %d", status)
	}
	_, list := r.call(http.MethodGet, "/accounts", nil)
	if len(list["accounts"].([]any)) != 2 {
		t.Errorf("list %v", list)
	}
	if text := strings.ToLower(toJSON(t, list)); strings.Contains(text, made["secret"].(string)) {
		t.Error("the list shows a secret")
	}
}

func TestCallbackURLIsVerifiedWhenSaved(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	id := wxsim.DevAccount().AppID
	if status, out := r.call(http.MethodPatch, "/accounts/"+id, object{"callbacks": []string{r.hook.URL + "/x"}}); status != 200 {
		t.Errorf("a callback that echoes: %d %v", status, out)
	}
	if status, out := r.call(http.MethodPatch, "/accounts/"+id, object{"callbacks": []string{r.server.URL + "/nothing"}}); status != 422 || !strings.Contains(out["error"].(string), "404") {
		t.Errorf("a callback that does not: %d %v", status, out)
	}
	if status, _ := r.call(http.MethodPatch, "/accounts/"+id+"?verify=false", object{"callbacks": []string{"http://127.0.0.1:1/"}}); status != 200 {
		t.Errorf("unverified: %d", status)
	}
	results := r.ok("/accounts/"+id+"/verify", nil)["results"].([]any)
	if results[0].(object)["ok"] != false {
		t.Errorf("results %v", results)
	}
}

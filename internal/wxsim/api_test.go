package wxsim_test

import (
	"image"
	_ "image/jpeg"
	_ "image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"posthouse/internal/wxsim"
)

func (r *rig) get(path string) object {
	r.t.Helper()
	status, out := r.call(http.MethodGet, path, nil)
	if status != http.StatusOK {
		r.t.Fatalf("GET %s: %d %v", path, status, out)
	}
	return out
}

// tokenOf is a plain token of any account.
func (r *rig) tokenOf(a wxsim.Account) string {
	r.t.Helper()
	return r.get("/cgi-bin/token?grant_type=client_credential&appid=" + a.AppID + "&secret=" + a.Secret)["access_token"].(string)
}

func (r *rig) plainToken(secret string) object {
	a := wxsim.DevAccount()
	return r.get("/cgi-bin/token?grant_type=client_credential&appid=" + a.AppID + "&secret=" + secret)
}

// works tells the errcode of a harmless call with the token.
func (r *rig) works(token string) int {
	return errcode(r.get("/cgi-bin/getcallbackip?access_token=" + token))
}

func TestPlainTokensEvictOneAnotherAfterFiveMinutes(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	secret := wxsim.DevAccount().Secret
	first := r.plainToken(secret)
	if first["expires_in"] != 7200.0 || len(first["access_token"].(string)) < 100 {
		t.Fatalf("token %v", first)
	}
	stable := r.token()
	second := r.plainToken(secret)
	if first["access_token"] == second["access_token"] {
		t.Fatal("the same token twice")
	}
	old, fresh := first["access_token"].(string), second["access_token"].(string)
	if got := r.works(old); got != 0 {
		t.Errorf("the evicted token answers %d inside its five minutes", got)
	}
	r.ok("/clock?advance=301", nil)
	if got := r.works(old); got != 40001 {
		t.Errorf("after five minutes: %d", got)
	}
	if r.works(fresh) != 0 || r.works(stable) != 0 {
		t.Error("the other tokens died too: the families are separate")
	}
	r.ok("/clock?advance=7200", nil)
	if got := r.works(fresh); got != 42001 {
		t.Errorf("an expired token answers %d", got)
	}
	if got := r.works("short"); got != 40014 {
		t.Errorf("a malformed token answers %d", got)
	}
	if got := r.works(strings.Repeat("x", 136)); got != 40001 {
		t.Errorf("an unknown token answers %d", got)
	}
	if got := r.works(""); got != 41001 {
		t.Errorf("no token answers %d", got)
	}
}

func (r *rig) stable(force bool) (string, float64) {
	a := wxsim.DevAccount()
	out := r.ok("/cgi-bin/stable_token", object{"grant_type": "client_credential", "appid": a.AppID, "secret": a.Secret, "force_refresh": force})
	token, _ := out["access_token"].(string)
	life, _ := out["expires_in"].(float64)
	return token, life
}

func TestStableTokenIsSharedAndOverlapsAtItsEnd(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	first, _ := r.stable(false)
	r.ok("/clock?advance=6000", nil)
	again, life := r.stable(false)
	if again != first || life < 300 || life > 1200 {
		t.Errorf("same %v, life %v", again == first, life)
	}
	r.ok("/clock", object{"advance": "15m30s"})
	next, life := r.stable(false)
	if next == first || life != 7200 {
		t.Errorf("in the last five minutes: same %v, life %v", next == first, life)
	}
	if r.works(first) != 0 || r.works(next) != 0 {
		t.Error("the two do not overlap")
	}
	r.ok("/clock?advance=300", nil)
	if r.works(first) != 42001 || r.works(next) != 0 {
		t.Error("the old one did not run out")
	}
}

func TestForcedRefreshIsLimited(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	// The day of the limit ends at midnight in Shanghai (16:00 UTC): the eleven minutes of
	// this test must not lie across it.
	if now := time.Now().UTC(); now.Hour() == 15 && now.Minute() >= 45 {
		r.ok("/clock?advance=1200", nil)
	}
	first, _ := r.stable(false)
	second, _ := r.stable(true)
	if first == second || r.works(first) != 40001 {
		t.Error("a forced refresh must kill the old token at once")
	}
	if third, _ := r.stable(true); third != second {
		t.Error("two forced refreshes within 30 s")
	}
	for i := range 19 {
		r.ok("/clock?advance=31", nil)
		if token, _ := r.stable(true); token == "" {
			t.Fatalf("refresh %d refused", i+2)
		}
	}
	r.ok("/clock?advance=31", nil)
	if token, _ := r.stable(true); token != "" {
		t.Error("the 21st forced refresh of a day was granted")
	}
	token, _ := r.stable(false)
	r.ok("/accounts/"+wxsim.DevAccount().AppID+"/kill-tokens", nil)
	if got := r.works(token); got != 40001 {
		t.Errorf("a killed token answers %d", got)
	}
}

func TestAPIRefusesWhatThePlatformRefuses(t *testing.T) {
	a := wxsim.DevAccount()
	nowhere := a
	nowhere.AppID, nowhere.OriginalID = "wxffffffffffffffff", "gh_ffffffffffff"
	a.Callbacks = []string{"http://127.0.0.1:9/"}
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{a, nowhere}, Callbacks: []string{}})
	token := r.token()
	create := "/cgi-bin/qrcode/create?access_token=" + token
	scene := func(v any) object {
		return object{"action_name": "QR_STR_SCENE", "action_info": object{"scene": object{"scene_str": v}}}
	}
	number := func(name string, v any) object {
		return object{"action_name": name, "action_info": object{"scene": object{"scene_id": v}}}
	}
	for _, c := range []struct {
		name, method, path string
		body               any
		want               int
	}{
		{"token by POST", "POST", "/cgi-bin/token", "", 43001},
		{"stable_token by GET", "GET", "/cgi-bin/stable_token", nil, 43002},
		{"create by GET", "GET", create, nil, 43002},
		{"no grant type", "GET", "/cgi-bin/token?appid=x&secret=y", nil, 40002},
		{"no appid", "GET", "/cgi-bin/token?grant_type=client_credential&secret=y", nil, 41002},
		{"no secret", "GET", "/cgi-bin/token?grant_type=client_credential&appid=x", nil, 41004},
		{"unknown appid", "GET", "/cgi-bin/token?grant_type=client_credential&appid=x&secret=y", nil, 40013},
		{"wrong secret", "GET", "/cgi-bin/token?grant_type=client_credential&appid=" + a.AppID + "&secret=y", nil, 40125},
		{"stable_token not JSON", "POST", "/cgi-bin/stable_token", "grant_type=x", 47001},
		{"stable_token empty", "POST", "/cgi-bin/stable_token", "", 44002},
		{"create without token", "POST", "/cgi-bin/qrcode/create", scene("x"), 41001},
		{"create empty", "POST", create, "", 44002},
		{"create broken JSON", "POST", create, "{", 40052},
		{"create unknown action", "POST", create, object{"action_name": "QR"}, 40052},
		{"create without info", "POST", create, object{"action_name": "QR_SCENE"}, 40053},
		{"scene too long", "POST", create, scene(strings.Repeat("x", 65)), 40053},
		{"scene empty", "POST", create, scene(""), 40053},
		{"scene is a number", "POST", create, scene(7), 40053},
		{"number is a text", "POST", create, number("QR_SCENE", "7"), 40053},
		{"number is zero", "POST", create, number("QR_SCENE", 0), 40053},
		{"number beyond 32 bits", "POST", create, number("QR_SCENE", 1<<33), 40053},
		{"permanent number beyond 100000", "POST", create, number("QR_LIMIT_SCENE", 100001), 40053},
		{"a number is fine", "POST", create, number("QR_SCENE", 7), 0},
		{"64 characters are fine", "POST", create, scene(strings.Repeat("字", 64)), 0},
		{"no such API", "GET", "/cgi-bin/menu/get?access_token=" + token, nil, 40066},
		{"openid of no shape", "GET", "/cgi-bin/user/info?access_token=" + token + "&openid=x", nil, 40003},
		{"foreign openid", "GET", "/cgi-bin/user/info?access_token=" + token + "&openid=" + strings.Repeat("x", 28), nil, 40003},
		{"batch of none", "POST", "/cgi-bin/user/info/batchget?access_token=" + token, object{"user_list": []object{}}, 40097},
		{"check without operator", "POST", "/cgi-bin/callback/check?access_token=" + token, object{"action": "all"}, 40203},
		{"check of nothing", "POST", "/cgi-bin/callback/check?access_token=" + token, object{"action": "x", "check_operator": "DEFAULT"}, 40202},
		{"clear of another", "POST", "/cgi-bin/clear_quota?access_token=" + token, object{"appid": "x"}, 40013},
		{"message of no type", "POST", "/cgi-bin/message/custom/send?access_token=" + token, object{"touser": "x"}, 40003},
		{"check without a callback URL", "POST", "/cgi-bin/callback/check?access_token=" + r.tokenOf(nowhere), object{"action": "all", "check_operator": "DEFAULT"}, 40201},
		{"create in Latin-1", "POST", create, "{\"action_name\":\"QR_STR_SCENE\",\"action_info\":{\"scene\":{\"scene_str\":\"\xe9\"}}}", 40033},
		{"message with escapes", "POST", "/cgi-bin/message/custom/send?access_token=" + token, `{"touser":"x","msgtype":"text","text":{"content":"\u4f60"}}`, 40033},
		{"rid unknown", "POST", "/cgi-bin/openapi/rid/get?access_token=" + token, object{"rid": "x"}, 76001},
	} {
		status, out := r.call(c.method, c.path, c.body)
		if status != 200 || errcode(out) != c.want {
			t.Errorf("%s: %d %v, want %d", c.name, status, out, c.want)
		}
		if text, _ := out["errmsg"].(string); c.want != 0 && !regexp.MustCompile(` rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`).MatchString(text) {
			t.Errorf("%s: errmsg %q has no rid", c.name, text)
		}
	}
}

func TestRidExplainsAFailedCall(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	token := r.token()
	text := r.get("/cgi-bin/menu/get?access_token=" + token)["errmsg"].(string)
	rid := text[strings.Index(text, "rid: ")+5:]
	out := r.ok("/cgi-bin/openapi/rid/get?access_token="+token, object{"rid": rid})
	if out["request"].(object)["request_url"] != "/cgi-bin/menu/get" {
		t.Errorf("explained as %v", out)
	}
}

func TestSceneNestedWronglyIsAcceptedAndLost(t *testing.T) {
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{plainAccount()}})
	out := r.ok("/cgi-bin/qrcode/create?access_token="+r.token(), object{"action_name": "QR_STR_SCENE", "action_info": object{"scene_str": "x"}})
	if out["expire_seconds"] != 60.0 {
		t.Errorf("life without expire_seconds: %v", out)
	}
	r.ok("/scan", object{"person": "ann", "ticket": out["ticket"], "follow": true})
	if body := r.received()[0].body; !strings.Contains(body, "[CDATA[qrscene_0]]") {
		t.Errorf("pushed %s", body)
	}
}

func TestPermanentCodesDoNotExpire(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	out := r.ok("/cgi-bin/qrcode/create?access_token="+r.token(), object{"action_name": "QR_LIMIT_STR_SCENE", "action_info": object{"scene": object{"scene_str": "door"}}})
	if _, has := out["expire_seconds"]; has {
		t.Errorf("a permanent code has a life: %v", out)
	}
	r.ok("/clock?advance=8760h", nil)
	if out := r.ok("/scan", object{"person": "ann", "scene": "door", "follow": true}); out["event"] != "subscribe" {
		t.Errorf("a year later: %v", out)
	}
}

func TestShowQRCodeDrawsOrIsNotFound(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	ticket, _ := r.code("s1")
	for query, format := range map[string]string{"": "png", "&format=jpg": "jpeg"} {
		resp, body := r.page("/cgi-bin/showqrcode?ticket="+url.QueryEscape(ticket)+query, "")
		picture, name, err := image.Decode(strings.NewReader(body))
		if err != nil || name != format || picture.Bounds().Dx() < 300 {
			t.Errorf("%s: %s, %v, %v", format, name, resp.Header.Get("Content-Type"), err)
		}
	}
	r.ok("/clock?advance=301", nil)
	for _, bad := range []string{ticket, "x", ""} {
		resp, body := r.page("/cgi-bin/showqrcode?ticket="+url.QueryEscape(bad), "")
		if resp.StatusCode != http.StatusNotFound || !strings.Contains(body, "<title>") {
			t.Errorf("%q: %d", bad, resp.StatusCode)
		}
	}
}

func TestUserInfoTellsLittle(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	r.code("s1")
	openid := r.ok("/scan", object{"person": "ann", "scene": "s1", "follow": true})["openid"].(string)
	path := "/cgi-bin/user/info?access_token=" + r.token() + "&openid="
	out := r.get(path + openid)
	if out["subscribe"] != 1.0 || out["subscribe_scene"] != "ADD_SCENE_QR_CODE" || out["qr_scene_str"] != "s1" || len(out["unionid"].(string)) != 28 {
		t.Errorf("follower %v", out)
	}
	if _, has := out["nickname"]; has {
		t.Error("names are not given any more")
	}
	r.ok("/unfollow", object{"person": "ann"})
	if out := r.get(path + openid); len(out) != 2 || out["subscribe"] != 0.0 {
		t.Errorf("stranger %v", out)
	}
	if got := errcode(r.get(path + openid[:6] + strings.Repeat("A", 22))); got != 46004 {
		t.Errorf("nobody: %d", got)
	}
	batch := r.ok("/cgi-bin/user/info/batchget?access_token="+r.token(), object{"user_list": []object{{"openid": openid}}})
	if users := batch["user_info_list"].([]any); len(users) != 1 {
		t.Errorf("batch %v", batch)
	}
}

func TestCustomMessagesNeedAnInteraction(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	openid := r.ok("/people", object{"person": "ann", "follows": true})["openid"]
	send := func() int {
		return errcode(r.ok("/cgi-bin/message/custom/send?access_token="+r.token(), object{"touser": openid, "msgtype": "text", "text": object{"content": "hi"}}))
	}
	if got := send(); got != 45015 {
		t.Errorf("without an interaction: %d", got)
	}
	r.ok("/menu", object{"person": "ann", "key": "K"})
	for i := range 3 {
		if got := send(); got != 0 {
			t.Errorf("message %d: %d", i+1, got)
		}
	}
	if got := send(); got != 45047 {
		t.Errorf("the fourth: %d", got)
	}
	r.ok("/text", object{"person": "ann", "text": "hello"})
	if got := send(); got != 0 {
		t.Errorf("after a text: %d", got)
	}
	r.ok("/clock?advance=49h", nil)
	if got := send(); got != 45015 {
		t.Errorf("two days later: %d", got)
	}
	r.ok("/unfollow", object{"person": "ann"})
	if got := send(); got == 0 {
		t.Error("a message to somebody who left")
	}
}

func TestQuotasRunOutAndAreCleared(t *testing.T) {
	a := wxsim.DevAccount()
	a.Limits = map[string]wxsim.Limit{"/cgi-bin/getcallbackip": {Daily: 3}, "/cgi-bin/get_api_domain_ip": {Minute: 2}}
	r := newRig(t, wxsim.Options{Accounts: []wxsim.Account{a}})
	token := r.token()
	use := func(path string) int { return errcode(r.get("/cgi-bin/" + path + "?access_token=" + token)) }
	for range 3 {
		use("getcallbackip")
	}
	if got := use("getcallbackip"); got != 45009 {
		t.Errorf("over the day's quota: %d", got)
	}
	use("get_api_domain_ip")
	use("get_api_domain_ip")
	if got := use("get_api_domain_ip"); got != 45011 {
		t.Errorf("over the minute's: %d", got)
	}
	quota := r.ok("/cgi-bin/openapi/quota/get?access_token="+token, object{"cgi_path": "/cgi-bin/getcallbackip"})["quota"].(object)
	if quota["daily_limit"] != 3.0 || quota["used"] != 3.0 || quota["remain"] != 0.0 {
		t.Errorf("quota %v", quota)
	}
	for i := range 10 {
		path := "/cgi-bin/clear_quota?access_token=" + token
		if i%2 == 1 { // the second way needs no token, and shares the ten
			path = "/cgi-bin/clear_quota/v2?appid=" + a.AppID + "&appsecret=" + a.Secret
		}
		if out := r.ok(path, object{"appid": a.AppID, "appsecret": a.Secret}); errcode(out) != 0 {
			t.Errorf("clear %d: %v", i, out)
		}
	}
	if got := use("getcallbackip"); got != 0 {
		t.Errorf("after clearing: %d", got)
	}
	if got := errcode(r.ok("/cgi-bin/clear_quota/v2", object{"appid": a.AppID, "appsecret": a.Secret})); got != 48006 {
		t.Errorf("after ten in a month: %d", got)
	}
	r.ok("/clock?advance=745h", nil)
	if got := errcode(r.ok("/cgi-bin/clear_quota/v2", object{"appid": a.AppID, "appsecret": a.Secret})); got != 0 {
		t.Errorf("next month: %d", got)
	}
}

package gateway_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"posthouse/internal/testenv"
	"posthouse/internal/wxsim"
)

// docs/reliability.md §4 row 36: everything that two replicas log, at level debug, and
// everything that Redis gets over a thousand logins of all kinds, from the start of the
// processes to their end. Neither holds a secret; no JWT passes through Redis, whether
// there was a challenge or not; no log names a person.
func TestGateway_NoSecretInAThousandLogins(t *testing.T) {
	t.Parallel()
	logins := 1000
	if testing.Short() {
		logins = 60
	}
	addr, _ := testenv.Redis(t)
	seen := monitor(t, addr)
	simPort := testenv.FreePort(t)
	sim := "http://127.0.0.1:" + strconv.Itoa(simPort)
	const jwtKey = "Y2FuYXJ5IG9mIHRoZSBzaWduaW5nIGtleSwgMzIgYnl0ZXM"
	var bases, callbacks []string
	var replicas []*testenv.Process
	for i := range 2 {
		base, p := testenv.Gateway(t,
			"POSTHOUSE_REDIS_URL=redis://"+addr, "POSTHOUSE_WECHAT_SIMULATOR="+sim, "POSTHOUSE_ENV=production",
			"POSTHOUSE_JWT_KEY=hs256:"+jwtKey, "POSTHOUSE_LOG_LEVEL=debug", "POSTHOUSE_WECHAT_UNIONID=on", "POSTHOUSE_CONFIRM=risk",
			"POSTHOUSE_LIMIT_CONNECTIONS_PER_IP=off", "POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off", "POSTHOUSE_LIMIT_QRCODES_PER_IP=off",
			"POSTHOUSE_LIMIT_QRCODES_PER_ACCOUNT=off", "POSTHOUSE_LIMIT_WEBHOOK=off",
			"POSTHOUSE_SPOOL="+filepath.Join(t.TempDir(), strconv.Itoa(i)),
		)
		bases, callbacks, replicas = append(bases, base), append(callbacks, base+"/callback/wechat"), append(replicas, p)
	}
	testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strconv.Itoa(simPort), "--callback", strings.Join(callbacks, ",")).
		Ready(t, sim+"/sim/log")

	secrets, persons := []string{jwtKey}, []string{}
	for n := range logins {
		p := open(t, bases[n%2])
		withCode := n%2 == 0
		var q code
		if withCode {
			q = p.qrcode(map[string]any{"challenge": challenge(verifier)})
		} else {
			q = p.qrcode()
		}
		secrets = append(secrets, q.Resume)
		person := "person-" + strconv.Itoa(n)
		persons = append(persons, scan(t, sim, person, q.Ticket, true).OpenID)
		var state struct{ State, Number string }
		p.parse(string(p.next("state").args[0]), &state)
		if state.State != "claimed" {
			t.Fatalf("login %d: %+v", n, state)
		}
		switch n % 10 {
		case 3: // a person who says no
			act(t, sim, "text", `{"person":"`+person+`","text":"not me"}`)
			p.next("state")
			p.conn.CloseNow()
			continue
		case 5: // a wrong secret, from an attacker
			failure(t, open(t, bases[n%2]).ask("resume", map[string]any{"ticket": q.Ticket, "resume": challenge(q.Resume)}))
		}
		act(t, sim, "text", `{"person":"`+person+`","text":"`+state.Number+`"}`)
		if !withCode {
			secrets = append(secrets, text(t, p.next("token")))
			p.rest()
			continue
		}
		var got struct{ Code string }
		p.parse(string(p.next("code").args[0]), &got)
		p.rest()
		for _, v := range []string{challenge(got.Code), verifier} {
			a := call(t, "POST", bases[(n+1)%2]+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+v+`"}`)
			var answer struct{ Token string }
			if json.Unmarshal([]byte(a.body), &answer); (answer.Token != "") != (v == verifier) {
				t.Fatalf("login %d: %d %s", n, a.StatusCode, a.body)
			}
			if answer.Token != "" {
				_, claims := token(t, bases[0], answer.Token)
				unionID, _ := claims["unionid"].(string)
				secrets, persons = append(secrets, answer.Token), append(persons, unionID)
			}
		}
		secrets = append(secrets, got.Code)
		if n%10 == 8 {
			act(t, sim, "unfollow", `{"person":"`+person+`"}`)
		}
	}

	dev := wxsim.DevAccount()
	a := call(t, "POST", sim+"/sim/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"`+dev.AppID+`","secret":"`+dev.Secret+`"}`)
	var wechat struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal([]byte(a.body), &wechat); len(wechat.AccessToken) < 20 {
		t.Fatalf("access token: %d %s", a.StatusCode, a.body)
	}
	secrets = append(secrets, wechat.AccessToken, dev.Secret, dev.Token, dev.AESKey, verifier)
	for _, p := range replicas {
		if err := p.Stop(patience); err != nil {
			t.Error(err)
		}
	}
	traffic := seen()
	if n := strings.Count(traffic, `"evalsha"`); n < 3*logins {
		t.Fatalf("the capture is not whole: %d steps", n)
	}
	hide := regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	holds := func(where, text string, secrets []string) {
		t.Helper()
		if jwt := hide.FindString(text); jwt != "" {
			t.Errorf("%s: a JWT: %.30s…", where, jwt)
		}
		for _, s := range secrets {
			if s == "" || strings.Contains(text, s) {
				t.Fatalf("%s holds %q", where, s)
			}
		}
	}
	holds("Redis", traffic, secrets)
	for _, p := range replicas {
		if n := strings.Count(p.Output(), `"msg":"claim"`); n < logins/2 {
			t.Errorf("%d claims were logged", n)
		}
		holds("the log", p.Output(), append(secrets, persons...))
	}
	t.Logf("%d logins, %d bytes of Redis, %d bytes of logs", logins, len(traffic), len(replicas[0].Output())+len(replicas[1].Output()))
}

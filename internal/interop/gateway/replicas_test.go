package gateway_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"posthouse/internal/testenv"
)

// Three replicas, one Redis, one platform that calls them in turn.
func TestReplicas(t *testing.T) {
	t.Parallel()
	addr, redis := testenv.Redis(t, "--maxmemory-policy", "allkeys-lru")
	simPort := testenv.FreePort(t)
	sim := "http://127.0.0.1:" + strconv.Itoa(simPort)
	var bases []string
	var callbacks []string
	var all []*testenv.Process
	spools := t.TempDir()
	for i := range 3 {
		base, p := testenv.Gateway(t, "POSTHOUSE_REDIS_URL=redis://"+addr, "POSTHOUSE_WECHAT_SIMULATOR="+sim+"/", "POSTHOUSE_LIMIT_QRCODES_PER_IP=off",
			"POSTHOUSE_LIMIT_HANDSHAKES_PER_IP=off", "POSTHOUSE_LIMIT_QRCODES_PER_SOCKET=off", "POSTHOUSE_SPOOL="+filepath.Join(spools, strconv.Itoa(i)))
		bases, callbacks, all = append(bases, base), append(callbacks, base+"/callback/wechat"), append(all, p)
	}
	testenv.Start(t, nil, testenv.Binary(t, "."), "wxsim", "--port", strconv.Itoa(simPort), "--callback", strings.Join(callbacks, ",")).Ready(t, sim+"/sim/log")

	seen := monitor(t, addr)
	var secrets []string
	for i := range 6 {
		p := open(t, bases[i%3])
		q := p.qrcode(map[string]any{"challenge": challenge(verifier)})
		s := scan(t, sim, "pkce-"+strconv.Itoa(i), q.Ticket, true)
		var got struct{ Code string }
		p.parse(string(p.next("code").args[0]), &got)
		a := call(t, "POST", bases[(i+1)%3]+"/login/exchange", `{"code":"`+got.Code+`","verifier":"`+verifier+`"}`)
		if a.StatusCode != 200 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		secrets = append(secrets, q.Resume, s.OpenID)
	}
	for i := range 3 {
		p := open(t, bases[i])
		q := p.qrcode()
		scan(t, sim, "token-"+strconv.Itoa(i), q.Ticket, true)
		secrets = append(secrets, text(t, p.next("token")))
		p.rest()
		mustFit(t, "on another replica", open(t, bases[(i+1)%3]).ask("resume", map[string]any{"ticket": q.Ticket, "resume": q.Resume}), `{"state":"done","expiresIn":0}`)
	}
	if text := seen(); strings.Contains(text, jwtStart) || strings.Contains(text, secrets[0]) || strings.Contains(text, "5d1c0ffee5d1c0ffee") || !strings.Contains(text, "posthouse:login:") {
		t.Error("Redis saw a token, a resume secret or the AppSecret, or nothing")
	}
	for _, p := range all {
		testenv.Until(t, patience, "the warning about eviction", func() bool { return strings.Contains(p.Output(), "maxmemory-policy") })
		for _, s := range secrets {
			if strings.Contains(p.Output(), s) {
				t.Errorf("the log holds %q", s)
			}
		}
	}

	// Redis hangs: ready but degraded, a scan is answered "success" all the same,
	// and the person is logged in when Redis is back.
	p := open(t, bases[0])
	q := p.qrcode()
	_ = redis.Process.Signal(syscall.SIGSTOP)
	if a := call(t, "GET", bases[0]+"/readyz", ""); a.StatusCode != 200 || !strings.Contains(a.body, `"ready":true,"status":"degraded","reasons":["redis`) {
		t.Errorf("readyz: %d %s", a.StatusCode, a.body)
	}
	mustFit(t, "a new code", failure(t, open(t, bases[1]).ask("qrcode")), "store_unavailable")
	s := scan(t, sim, "outage", q.Ticket, true)
	if len(s.Deliveries) != 1 || s.Deliveries[0].Body != "success" {
		t.Errorf("%+v", s)
	}
	_ = redis.Process.Signal(syscall.SIGCONT)
	if _, claims := token(t, bases[1], text(t, p.next("token"))); claims["openid"] != s.OpenID {
		t.Errorf("%v", claims)
	}
	_ = redis.Stop(patience)
	testenv.Until(t, patience, "degraded", func() bool {
		return strings.Contains(call(t, "GET", bases[2]+"/readyz", "").body, "degraded")
	})
	for _, p := range all {
		if err := p.Stop(patience); err != nil {
			t.Errorf("exit without Redis: %v", err)
		}
		for line := range strings.Lines(p.Output()) {
			if strings.HasPrefix(line, "redis:") {
				t.Errorf("a line that is no log: %s", line)
			}
		}
	}
	if entries, _ := os.ReadDir(spools); len(entries) != 3 {
		t.Errorf("spools %v", entries)
	}
}

// monitor records every command that Redis gets; the function returns it.
func monitor(t testing.TB, addr string) func() string {
	t.Helper()
	var all testenv.Buffer
	testenv.Monitor(t, addr, func(line string) { _, _ = all.Write([]byte(line)) })
	return all.String
}

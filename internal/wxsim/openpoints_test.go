package wxsim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"posthouse/internal/sleep"
)

// The points that WeChat's documents leave open (docs/wechat.md §8) are switches: each
// test here turns one while the simulator runs and sees the other behaviour.

// admin is a request of the admin routes, without sockets: these tests run on
// fake time.
func admin(t *testing.T, s *Sim, method, path, body string) map[string]any {
	t.Helper()
	status, out := request(t, s, method, path, body)
	if status != http.StatusOK {
		t.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

func request(t *testing.T, s *Sim, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequest(method, "/sim"+path, bytes.NewReader([]byte(body)))
	r.RemoteAddr, r.Host = "127.0.0.1:1", "127.0.0.1"
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %d %q", method, path, w.Code, w.Body)
	}
	return w.Code, out
}

func patch(t *testing.T, s *Sim, body string) {
	t.Helper()
	admin(t, s, http.MethodPatch, "/accounts/"+s.accounts[0].AppID, body)
}

func (s *Sim) testCode(scene string, life time.Duration) *qrCode {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addCode(s.accounts[0], scene, life, "http://x/sim")
}

func TestOpenPointServerErrors(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(502, ""), func(t *testing.T, s *Sim, _ *wire) {
		for _, c := range []struct {
			body string
			want int
		}{{`{"retryOn5xx":true}`, 3}, {`{"retryOn5xx":false}`, 1}} {
			patch(t, s, c.body)
			if d := text(t, s, "ann"); len(d) != c.want {
				t.Errorf("%s: %d deliveries, want %d", c.body, len(d), c.want)
			}
		}
	})
}

func TestOpenPointNonceOfRetries(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, n *wire) {
		for _, same := range []string{"true", "false"} {
			patch(t, s, `{"sameNonceOnRetry":`+same+`}`)
			text(t, s, "ann")
			all := n.all()
			first, last := all[len(all)-3].query, all[len(all)-1].query
			repeated := first.Get("nonce") == last.Get("nonce") && first.Get("timestamp") == last.Get("timestamp")
			if repeated != (same == "true") {
				t.Errorf("sameNonceOnRetry %s: repeated %v", same, repeated)
			}
		}
	})
}

func TestOpenPointSceneOfALateFollow(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, n *wire) {
		for _, drop := range []string{"true", "false"} {
			patch(t, s, `{"dropLateScene":`+drop+`}`)
			c := s.testCode("late"+drop, time.Minute)
			person := personBody{Person: "ann " + drop}
			if _, err := s.scan(scanBody{personBody: person, Ticket: c.ticket}); err != nil {
				t.Fatal(err)
			}
			if err := sleep.For(t.Context(), 2*time.Minute); err != nil {
				t.Fatal(err)
			}
			if _, err := s.follow(scanBody{personBody: person}); err != nil {
				t.Fatal(err)
			}
			all := n.all()
			body := all[len(all)-1].body
			carries := strings.Contains(body, "qrscene_late") && strings.Contains(body, "<Ticket>")
			if !strings.Contains(body, "subscribe") || carries == (drop == "true") {
				t.Errorf("dropLateScene %s: %s", drop, body)
			}
		}
	})
}

func TestOpenPointMinuteLimitOfCodes(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, _ *wire) {
		token := s.testToken()
		create := func() int {
			return errcodeOf(admin(t, s, http.MethodPost, "/cgi-bin/qrcode/create?access_token="+token,
				`{"action_name":"QR_STR_SCENE","action_info":{"scene":{"scene_str":"x"}}}`))
		}
		for range 100 {
			if got := create(); got != 0 {
				t.Fatalf("without a limit: %d", got)
			}
		}
		patch(t, s, `{"limits":{"/cgi-bin/qrcode/create":{"minute":102}}}`)
		if first, second, third := create(), create(), create(); first != 0 || second != 0 || third != 45011 {
			t.Errorf("%d %d %d", first, second, third)
		}
		quota := admin(t, s, http.MethodPost, "/cgi-bin/openapi/quota/get?access_token="+token, `{"cgi_path":"/cgi-bin/qrcode/create"}`)
		if rate := quota["rate_limit"].(map[string]any); rate["call_count"] != 102.0 || rate["refresh_second"] != 60.0 {
			t.Errorf("quota/get tells %v", rate)
		}
		if err := sleep.For(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if got := create(); got != 0 {
			t.Errorf("the next minute: %d", got)
		}
	})
}

func TestOpenPointMarkFailThresholdWindowAndPause(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(500, ""), func(t *testing.T, s *Sim, n *wire) {
		pause := func(d time.Duration) {
			if err := sleep.For(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		admin(t, s, http.MethodPatch, "/settings", `{"markFail":2,"markFailWindowMs":10000,"markFailPauseMs":30000}`)
		text(t, s, "ann")
		pause(11 * time.Second)
		text(t, s, "ann") // the first failure has left the window
		if d := text(t, s, "ann"); len(d) != 1 {
			t.Error("failures outside the window counted")
		}
		if d := text(t, s, "ann"); len(d) != 0 {
			t.Error("two failures in the window did not stop pushes")
		}
		pause(29 * time.Second)
		if d := text(t, s, "ann"); len(d) != 0 {
			t.Error("the pause ended early")
		}
		pause(time.Second)
		if d := text(t, s, "ann"); len(d) != 1 {
			t.Error("the pause did not end")
		}
		admin(t, s, http.MethodPatch, "/settings", `{"markFail":-1}`)
		before := len(n.all())
		for range 60 {
			text(t, s, "ann")
		}
		if got := len(n.all()) - before; got != 60 {
			t.Errorf("switched off: %d of 60 pushed", got)
		}
	})
}

func TestTimeoutDeliveriesAndPauseAreSettable(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, silence, func(t *testing.T, s *Sim, _ *wire) {
		admin(t, s, http.MethodPatch, "/settings", `{"timeoutMs":1000,"deliveries":2,"retryPauseMs":3000}`)
		d := text(t, s, "ann")
		if len(d) != 2 || d[0].MS != 1000 || d[1].At.Sub(d[0].At) != 3*time.Second {
			t.Errorf("%+v", d)
		}
		if got := admin(t, s, http.MethodGet, "/settings", ""); got["deliveries"] != 2.0 || got["markFail"] != 50.0 {
			t.Errorf("%v", got)
		}
		for _, bad := range []string{`{"deliveries":0}`, `{"timeoutMs":0}`, `{"timeoutMs":-1}`, `{"markFail":0}`, `{"markFailPauseMs":99999999}`, `{"speed":1}`} {
			if status, _ := request(t, s, http.MethodPatch, "/settings", bad); status != http.StatusBadRequest {
				t.Errorf("%s: %d", bad, status)
			}
		}
		if got := admin(t, s, http.MethodGet, "/settings", ""); got["timeoutMs"] != 1000.0 {
			t.Errorf("a refused change left its mark: %v", got)
		}
	})
}

func TestOpenPointWhichSceneWins(t *testing.T) {
	t.Parallel()
	inBubble(t, Options{}, answers(200, "success"), func(t *testing.T, s *Sim, _ *wire) {
		token := s.testToken()
		for _, c := range []struct{ wins, action, want string }{
			{"action", "QR_SCENE", "7"}, {"action", "QR_STR_SCENE", "seven"},
			{"scene_id", "QR_STR_SCENE", "7"}, {"scene_str", "QR_SCENE", "seven"},
		} {
			patch(t, s, `{"sceneWins":"`+c.wins+`"}`)
			out := admin(t, s, http.MethodPost, "/cgi-bin/qrcode/create?access_token="+token,
				`{"action_name":"`+c.action+`","action_info":{"scene":{"scene_id":7,"scene_str":"seven"}}}`)
			s.mu.Lock()
			got := s.codeByTicket[out["ticket"].(string)].scene
			s.mu.Unlock()
			if got != c.want {
				t.Errorf("%s with %s: scene %q, want %q", c.action, c.wins, got, c.want)
			}
		}
		if status, _ := request(t, s, http.MethodPatch, "/accounts/"+s.accounts[0].AppID, `{"sceneWins":"both"}`); status != http.StatusBadRequest {
			t.Errorf("an unknown field: %d", status)
		}
	})
}

func (s *Sim) testToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accounts[0].tokens.issuePlain(s.clock.now(), strings.Repeat("t", tokenLength)).value
}

func errcodeOf(out map[string]any) int {
	n, _ := out["errcode"].(float64)
	return int(n)
}

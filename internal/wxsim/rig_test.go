package wxsim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"posthouse/internal/wxsim"
)

// rig is a simulator on a real port and a callback that records what it gets.
type rig struct {
	t      *testing.T
	sim    *wxsim.Sim
	server *httptest.Server
	hook   *httptest.Server
	client *http.Client

	mu     sync.Mutex
	got    []request
	answer func(w http.ResponseWriter, r *http.Request)
}

type request struct {
	query       url.Values
	body        string
	contentType string
	at          time.Time
}

func newRig(t *testing.T, opts wxsim.Options) *rig {
	t.Helper()
	r := &rig{t: t, client: &http.Client{Transport: &http.Transport{}}}
	r.hook = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodGet {
			_, _ = io.WriteString(w, q.URL.Query().Get("echostr"))
			return
		}
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		r.got = append(r.got, request{q.URL.Query(), string(body), q.Header.Get("Content-Type"), time.Now()})
		answer := r.answer
		r.mu.Unlock()
		if answer != nil {
			q.Body = io.NopCloser(bytes.NewReader(body))
			answer(w, q)
			return
		}
		_, _ = io.WriteString(w, "success")
	}))
	if opts.Callbacks == nil {
		opts.Callbacks = []string{r.hook.URL}
	}
	if opts.Seed == 0 {
		opts.Seed = 1
	}
	sim, err := wxsim.New(&opts)
	if err != nil {
		t.Fatal(err)
	}
	r.sim = sim
	r.server = httptest.NewServer(sim.Handler())
	t.Cleanup(func() {
		r.client.CloseIdleConnections()
		r.server.Close()
		sim.Close()
		r.hook.Close()
	})
	return r
}

func (r *rig) reply(answer func(w http.ResponseWriter, q *http.Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *rig) received() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]request(nil), r.got...)
}

type object = map[string]any

// call sends JSON (nil: nothing) and reads a JSON object.
func (r *rig) call(method, path string, body any) (int, object) {
	r.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			r.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.server.URL+"/sim"+path, reader)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(data, &out); err != nil {
		r.t.Fatalf("%s %s: %d %q", method, path, resp.StatusCode, data)
	}
	return resp.StatusCode, out
}

// ok is a POST that must answer 200.
func (r *rig) ok(path string, body any) object {
	r.t.Helper()
	status, out := r.call(http.MethodPost, path, body)
	if status != http.StatusOK {
		r.t.Fatalf("POST %s %v: %d %v", path, body, status, out)
	}
	return out
}

// errcode of an API answer; 0 when it has none.
func errcode(out object) int {
	n, _ := out["errcode"].(float64)
	return int(n)
}

func (r *rig) token() string {
	r.t.Helper()
	a := wxsim.DevAccount()
	out := r.ok("/cgi-bin/stable_token", object{"grant_type": "client_credential", "appid": a.AppID, "secret": a.Secret})
	token, _ := out["access_token"].(string)
	if token == "" {
		r.t.Fatalf("no token: %v", out)
	}
	return token
}

func (r *rig) code(scene string) (ticket, codeURL string) {
	r.t.Helper()
	out := r.ok("/cgi-bin/qrcode/create?access_token="+r.token(), object{
		"expire_seconds": 300, "action_name": "QR_STR_SCENE", "action_info": object{"scene": object{"scene_str": scene}},
	})
	if errcode(out) != 0 {
		r.t.Fatalf("no code: %v", out)
	}
	return out["ticket"].(string), out["url"].(string)
}

func deliveries(out object) []any {
	d, _ := out["deliveries"].([]any)
	return d
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

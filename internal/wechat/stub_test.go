package wechat_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"posthouse/internal/wechat"
)

const (
	testAppID  = "wx1a2b3c4d5e6f7081"
	testSecret = "canaryAppSecret0123456789abcdef"
)

// stub is a WeChat over real HTTP that knows tokens and little else.
type stub struct {
	*httptest.Server

	mu      sync.Mutex // guards all below
	calls   map[string]int
	forced  int
	tokens  int
	valid   string
	life    int
	always  map[string]http.HandlerFunc
	last    map[string]string // last body by path
	rawPath []string
}

func newStub(t testing.TB) *stub {
	s := &stub{
		calls: map[string]int{}, life: 7200, always: map[string]http.HandlerFunc{},
		last: map[string]string{},
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stub) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/base")
	s.mu.Lock()
	s.calls[path]++
	s.last[path] = string(body)
	s.rawPath = append(s.rawPath, r.URL.Path)
	fault := s.always[path]
	s.mu.Unlock()
	if fault != nil {
		fault(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if path == "/cgi-bin/stable_token" {
		var ask struct {
			Secret string `json:"secret"`
			Force  bool   `json:"force_refresh"`
		}
		if json.Unmarshal(body, &ask) != nil || ask.Secret != testSecret {
			fmt.Fprint(w, `{"errcode":40125,"errmsg":"invalid appsecret rid: 1-2-3"}`)
			return
		}
		if ask.Force {
			s.forced++
		}
		if s.valid == "" || ask.Force {
			s.tokens++
			s.valid = fmt.Sprintf("canaryAccessToken_%d", s.tokens)
		}
		fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d}`, s.valid, s.life)
		return
	}
	if r.URL.Query().Get("access_token") != s.valid {
		fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest rid: 68f1aaaa-0bbbbbbb-1ccccccc"}`)
		return
	}
	switch path {
	case "/cgi-bin/qrcode/create":
		fmt.Fprint(w, `{"ticket":"gQH+/8==","expire_seconds":300,"url":"http://weixin.qq.com/q/02abc"}`)
	case "/cgi-bin/user/info":
		fmt.Fprintf(w, `{"subscribe":1,"openid":%q,"unionid":"o6U","subscribe_time":1767225662,"subscribe_scene":"ADD_SCENE_QR_CODE"}`, r.URL.Query().Get("openid"))
	case "/cgi-bin/getcallbackip":
		fmt.Fprint(w, `{"ip_list":["106.55.206.146","101.226.103.0/25","2402:4e00::1","junk"]}`)
	case "/cgi-bin/openapi/quota/get":
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","quota":{"daily_limit":100000,"used":7,"remain":99993}}`)
	default:
		fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
	}
}

// kill invalidates the current token; the next normal call makes another.
func (s *stub) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.valid = ""
}

func (s *stub) forever(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always[path] = h
}

func (s *stub) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[path]
}

func (s *stub) body(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last[path]
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func (s *stub) client(t testing.TB, o *wechat.ClientOptions) *wechat.Client {
	t.Helper()
	if o == nil {
		o = &wechat.ClientOptions{}
	}
	if o.APIBase == "" {
		o.APIBase = s.URL
	}
	if o.MPBase == "" {
		o.MPBase = s.URL
	}
	c, err := wechat.NewClient(testAppID, testSecret, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

package wxsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// maxAPIBody is far above any request the platform takes at these routes.
const maxAPIBody = 256 << 10

// apiCall is one request of the API side, as its handler sees it. Handlers run
// under Sim.mu and do no I/O.
type apiCall struct {
	*Sim
	account *account
	r       *http.Request
	path    string // without the prefix: "/cgi-bin/…"
	body    []byte
	now     time.Time
}

// bind decodes the JSON body.
func (c *apiCall) bind(into any) *apiError {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return errEmptyPost
	}
	if !utf8.Valid(c.body) {
		return errCharacters
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return errNotJSON
	}
	return nil
}

// apiRoute says what the platform checks before a handler runs.
type apiRoute struct {
	method string
	public bool // no access_token: the route has its own proof
	run    func(*apiCall) (any, *apiError)
}

// routeOf is the table of the API side. A function, because a route that
// reports quotas looks itself up in it.
func routeOf(path string) (apiRoute, bool) {
	switch path {
	case "/cgi-bin/token":
		return apiRoute{http.MethodGet, true, issueToken}, true
	case "/cgi-bin/stable_token":
		return apiRoute{http.MethodPost, true, issueStableToken}, true
	case "/cgi-bin/qrcode/create":
		return apiRoute{http.MethodPost, false, createQRCode}, true
	case "/cgi-bin/user/info":
		return apiRoute{http.MethodGet, false, userInfo}, true
	case "/cgi-bin/user/info/batchget":
		return apiRoute{http.MethodPost, false, userInfoBatch}, true
	case "/cgi-bin/get_api_domain_ip":
		return apiRoute{http.MethodGet, false, apiDomainIP}, true
	case "/cgi-bin/getcallbackip":
		return apiRoute{http.MethodGet, false, callbackIP}, true
	case "/cgi-bin/callback/check":
		return apiRoute{http.MethodPost, false, checkCallbackNetwork}, true
	case "/cgi-bin/clear_quota":
		return apiRoute{http.MethodPost, false, clearQuota}, true
	case "/cgi-bin/clear_quota/v2":
		return apiRoute{http.MethodPost, true, clearQuotaBySecret}, true
	case "/cgi-bin/openapi/quota/get":
		return apiRoute{http.MethodPost, false, quotaOf}, true
	case "/cgi-bin/openapi/rid/get":
		return apiRoute{http.MethodPost, false, explainRid}, true
	case "/cgi-bin/message/custom/send":
		return apiRoute{http.MethodPost, false, sendCustomMessage}, true
	}
	return apiRoute{}, false
}

// noQuota are the routes whose calls are not counted: they exist to look at, or
// to mend, the others.
var noQuota = []string{
	"/cgi-bin/clear_quota", "/cgi-bin/clear_quota/v2",
	"/cgi-bin/openapi/quota/get", "/cgi-bin/openapi/rid/get",
}

// serveAPI answers everything below /cgi-bin. Like the platform it answers 200
// whatever happens: the errcode is in the body.
func (s *Sim) serveAPI(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[len(s.opts.Prefix):]
	if path == "/cgi-bin/showqrcode" {
		s.showQRCode(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAPIBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			s.answerAPI(w, r, path, nil, errNotJSON)
		}
		return
	}
	if s.apiFault(w, r, path, body) {
		return
	}
	s.mu.Lock()
	result, failure := s.callAPI(r, path, body)
	s.mu.Unlock()
	s.answerAPI(w, r, path, result, failure)
}

// callAPI checks what every route has checked and runs it. Holds s.mu.
func (s *Sim) callAPI(r *http.Request, path string, body []byte) (any, *apiError) {
	route, ok := routeOf(path)
	if !ok {
		return nil, errPath
	}
	if r.Method != route.method {
		if route.method == http.MethodGet {
			return nil, errNeedGet
		}
		return nil, errNeedPost
	}
	c := &apiCall{Sim: s, r: r, path: path, body: body, now: s.clock.now()}
	if !route.public {
		token := r.URL.Query().Get("access_token")
		var failure *apiError
		if c.account, failure = s.authenticate(token, c.now); failure != nil {
			return nil, failure
		}
		if failure := c.count(); failure != nil {
			return nil, failure
		}
	}
	return route.run(c)
}

// count takes the call off the account's quota.
func (c *apiCall) count() *apiError {
	if slices.Contains(noQuota, c.path) {
		return nil
	}
	return c.account.usageOf(c.path).take(c.now, c.account.limit(c.path))
}

// authenticate finds the account whose token this is. Holds s.mu.
func (s *Sim) authenticate(token string, now time.Time) (*account, *apiError) {
	if token == "" {
		return nil, errNoToken
	}
	for _, a := range s.accounts {
		if a.tokens.all[token] != nil {
			return a, a.tokens.check(now, token)
		}
	}
	if len(token) < 64 || len(token) > 512 {
		return nil, errTokenShape
	}
	return nil, errTokenUnknown
}

// failureBody is the JSON of an error answer.
type failureBody struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
}

// success is what actions answer; getters answer their data without it.
var success = failureBody{0, "ok"}

func (s *Sim) answerAPI(w http.ResponseWriter, r *http.Request, path string, result any, failure *apiError) {
	if failure != nil {
		s.mu.Lock()
		now := s.clock.now()
		rid := s.newRid(now)
		result = failureBody{failure.code, failure.text + " rid: " + rid}
		s.rememberRid(rid, ridRecord{at: now, url: path, response: failure.text, ip: peerIP(r)})
		s.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(result)
}

func peerIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// baseURL is where people reach the phone page.
func (s *Sim) baseURL(r *http.Request) string {
	if s.opts.BaseURL != "" {
		return s.opts.BaseURL
	}
	return "http://" + r.Host + s.opts.Prefix
}

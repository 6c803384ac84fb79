package wxsim

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// accountBody is an account as the admin routes speak of it. Absent fields are
// left as they are (or invented, for a new account).
type accountBody struct {
	AppID            *string          `json:"appid,omitempty"`
	OriginalID       *string          `json:"originalId,omitempty"`
	Secret           *string          `json:"secret,omitempty"`
	Name             *string          `json:"name,omitempty"`
	Token            *string          `json:"token,omitempty"`
	AESKey           *string          `json:"aesKey,omitempty"` // a new one makes the present one the previous
	Mode             *Mode            `json:"mode,omitempty"`
	Kind             *Kind            `json:"kind,omitempty"`
	Callbacks        []string         `json:"callbacks,omitempty"`
	UnionGroup       *string          `json:"unionGroup,omitempty"`
	AllowIPs         []string         `json:"allowIps,omitempty"`
	Limits           map[string]Limit `json:"limits,omitempty"`
	Frozen           *bool            `json:"frozen,omitempty"`
	Lapsed           *bool            `json:"lapsed,omitempty"`
	Banned           *bool            `json:"banned,omitempty"`
	SameNonceOnRetry *bool            `json:"sameNonceOnRetry,omitempty"`
	RetryOn5xx       *bool            `json:"retryOn5xx,omitempty"`
	DropLateScene    *bool            `json:"dropLateScene,omitempty"`
	SceneWins        *SceneField      `json:"sceneWins,omitempty"`
}

func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func (b accountBody) apply(a Account) Account {
	set(&a.AppID, b.AppID)
	set(&a.OriginalID, b.OriginalID)
	set(&a.Secret, b.Secret)
	set(&a.Name, b.Name)
	set(&a.Token, b.Token)
	if b.AESKey != nil && *b.AESKey != a.AESKey {
		a.PreviousAESKey, a.AESKey = a.AESKey, *b.AESKey
	}
	set(&a.Mode, b.Mode)
	set(&a.Kind, b.Kind)
	if b.Callbacks != nil {
		a.Callbacks = b.Callbacks
	}
	set(&a.UnionGroup, b.UnionGroup)
	if b.AllowIPs != nil {
		a.AllowIPs = b.AllowIPs
	}
	if b.Limits != nil {
		a.Limits = b.Limits
	}
	set(&a.Frozen, b.Frozen)
	set(&a.Lapsed, b.Lapsed)
	set(&a.Banned, b.Banned)
	set(&a.SameNonceOnRetry, b.SameNonceOnRetry)
	set(&a.RetryOn5xx, b.RetryOn5xx)
	set(&a.DropLateScene, b.DropLateScene)
	set(&a.SceneWins, b.SceneWins)
	return a
}

// accountView is what lists show: no secrets.
type accountView struct {
	AppID      string         `json:"appid"`
	OriginalID string         `json:"originalId"`
	Name       string         `json:"name"`
	Mode       Mode           `json:"mode"`
	Kind       Kind           `json:"kind"`
	Callbacks  []string       `json:"callbacks"`
	Frozen     bool           `json:"frozen"`
	Lapsed     bool           `json:"lapsed"`
	Banned     bool           `json:"banned"`
	Blocked    bool           `json:"blocked"` // MarkFail holds pushes back
	Used       map[string]int `json:"used"`    // calls today, by API path

	// The switches of what WeChat does not document (docs/wechat.md §8).
	SameNonceOnRetry bool       `json:"sameNonceOnRetry"`
	RetryOn5xx       bool       `json:"retryOn5xx"`
	DropLateScene    bool       `json:"dropLateScene"`
	SceneWins        SceneField `json:"sceneWins"`
}

// viewAccounts holds s.mu.
func (s *Sim) viewAccounts() []accountView {
	views := make([]accountView, len(s.accounts))
	for i, a := range s.accounts {
		used := make(map[string]int, len(a.usage))
		for path, u := range a.usage {
			used[path] = u.daily
		}
		views[i] = accountView{
			AppID: a.AppID, OriginalID: a.OriginalID, Name: a.Name, Mode: a.Mode, Kind: a.Kind,
			Callbacks: append([]string{}, s.callbacksOf(a)...), Frozen: a.Frozen, Lapsed: a.Lapsed, Banned: a.Banned,
			Blocked: s.clock.now().Before(a.blocked), Used: used,
			SameNonceOnRetry: a.SameNonceOnRetry, RetryOn5xx: a.RetryOn5xx, DropLateScene: a.DropLateScene, SceneWins: a.SceneWins,
		}
	}
	return views
}

func (s *Sim) getAccounts(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	views := s.viewAccounts()
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"accounts": views})
}

// postAccount adds an account; what the body leaves out is invented. The answer
// is the only one that shows the secrets.
func (s *Sim) postAccount(w http.ResponseWriter, r *http.Request) {
	var in accountBody
	if err := readJSON(w, r, &in); err != nil {
		writeError(w, err)
		return
	}
	s.mu.Lock()
	invented := Account{
		AppID: "wx" + s.rand.hex(16), OriginalID: "gh_" + s.rand.hex(12), Secret: s.rand.hex(32),
		Token: "sim" + s.rand.hex(16), AESKey: s.rand.hex(42) + "A",
	}
	s.mu.Unlock()
	a := in.apply(invented)
	if in.AESKey != nil {
		a.PreviousAESKey = "" // the invented one was never in use
	}
	added, err := s.addAccount(a)
	if err != nil {
		writeError(w, err)
		return
	}
	a = added.Account
	writeJSON(w, http.StatusCreated, accountBody{
		AppID: &a.AppID, OriginalID: &a.OriginalID, Secret: &a.Secret, Name: &a.Name, Token: &a.Token, AESKey: &a.AESKey,
		Mode: &a.Mode, Kind: &a.Kind, Callbacks: a.Callbacks, UnionGroup: &a.UnionGroup,
	})
}

// patchAccount changes an account while it runs. A new callback URL is verified
// first, as the platform does when it is saved; ?verify=false skips that.
func (s *Sim) patchAccount(w http.ResponseWriter, r *http.Request) {
	var in accountBody
	if err := readJSON(w, r, &in); err != nil {
		writeError(w, err)
		return
	}
	s.mu.Lock()
	a := s.account(r.PathValue("id"))
	var before Account
	if a != nil {
		before = a.snapshot()
	}
	s.mu.Unlock()
	if a == nil {
		writeError(w, errNoAccount)
		return
	}
	in.AppID, in.OriginalID = nil, nil // an account keeps its name
	after, err := in.apply(before).withDefaults()
	if err != nil {
		writeError(w, err)
		return
	}
	if in.Callbacks != nil && r.URL.Query().Get("verify") != "false" {
		for _, result := range s.verify(r.Context(), after, after.Callbacks) {
			if !result.OK {
				writeJSON(w, http.StatusUnprocessableEntity, errorBody{"URL verification failed: " + result.URL + ": " + result.Reason})
				return
			}
		}
	}
	s.mu.Lock()
	a.Account = after
	s.changed()
	views := s.viewAccounts()
	s.mu.Unlock()
	for _, view := range views {
		if view.AppID == after.AppID {
			writeJSON(w, http.StatusOK, view)
		}
	}
}

func (s *Sim) killTokens(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a := s.account(r.PathValue("id"))
	if a != nil {
		a.tokens.kill(s.clock.now())
	}
	s.mu.Unlock()
	if a == nil {
		writeError(w, errNoAccount)
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"killed": true})
}

// verification is the result of asking one callback URL.
type verification struct {
	URL    string `json:"url"`
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

func (s *Sim) verifyAccount(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a := s.account(r.PathValue("id"))
	var settings Account
	var urls []string
	if a != nil {
		settings, urls = a.snapshot(), append(urls, s.callbacksOf(a)...)
	}
	s.mu.Unlock()
	if a == nil {
		writeError(w, errNoAccount)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"results": s.verify(r.Context(), settings, urls)})
}

// verify is the GET with which the platform checks a callback URL
// (docs/wechat.md §2.2): the answer must be the echo string, nothing else.
func (s *Sim) verify(ctx context.Context, a Account, urls []string) []verification {
	results := make([]verification, 0, len(urls))
	for _, callback := range urls {
		reason := s.verifyOne(ctx, a, callback)
		results = append(results, verification{URL: callback, OK: reason == "", Reason: reason})
	}
	return results
}

func (s *Sim) verifyOne(ctx context.Context, a Account, callback string) (reason string) {
	s.mu.Lock()
	nonce, echo := s.rand.digits(10), s.rand.digits(19)
	s.mu.Unlock()
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	u, err := url.Parse(callback)
	if err != nil {
		return "not a URL"
	}
	q := u.Query()
	q.Set("signature", signature(a.Token, timestamp, nonce))
	q.Set("timestamp", timestamp)
	q.Set("nonce", nonce)
	q.Set("echostr", echo)
	u.RawQuery = q.Encode()
	ctx, cancel := context.WithTimeout(ctx, s.habits().timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "not a URL"
	}
	r.Header.Set("User-Agent", "Mozilla/4.0")
	resp, err := s.client.Do(r)
	if err != nil {
		return failureWord(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	switch {
	case err != nil:
		return failureWord(err)
	case resp.StatusCode != http.StatusOK:
		return "HTTP " + strconv.Itoa(resp.StatusCode)
	case string(body) != echo:
		return "the answer is not the echo string"
	}
	return ""
}

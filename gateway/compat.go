package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"posthouse/internal/login"
	"posthouse/internal/loglimit"
	"posthouse/internal/oidc"
)

// compatServer answers applications that ask a wechat-server which person a code is
// (docs/oidc.md §5): the person sent a word to the account and got the code in the chat.
type compatServer struct {
	settings   *CompatWeChatServer
	codes      *oidc.ChatCodes
	metrics    *metrics
	app        *App
	wrongTries *rate.Limiter
	lines      loglimit.Limiter
}

// wrongTriesPerSecond bounds guesses. The caller is an application's server, so a limit for
// each address would shut out all people behind it; a right code never meets this one.
const wrongTriesPerSecond = 100

// buildCompat makes the server when it is configured.
func (a *App) buildCompat(store oidc.Store) {
	if s := a.config.Compat.WeChatServer; s != nil {
		a.compat = &compatServer{
			settings: s, codes: oidc.NewChatCodes(store, s.age), metrics: a.metrics, app: a,
			wrongTries: rate.NewLimiter(wrongTriesPerSecond, wrongTriesPerSecond),
		}
	}
}

// giveCode is callback.Options.ChatCodes.
func (c *compatServer) giveCode(ctx context.Context, appID, openID string) (code string, life time.Duration, err error) {
	code = login.NewTypedCode()
	life, err = c.codes.Give(ctx, appID, openID, code)
	c.metrics.Count("chat_code", c.settings.Account, "given")
	return code, life, err
}

type compatAnswer struct {
	Message string `json:"message"`
	Success bool   `json:"success"`
	Data    string `json:"data"`
}

// ServeHTTP is GET /api/wechat/user?code=CODE.
func (c *compatServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		answerJSON(w, http.StatusMethodNotAllowed, compatAnswer{Message: "use GET"})
		return
	}
	got, want := sha256.Sum256([]byte(r.Header.Get("Authorization"))), sha256.Sum256([]byte(c.settings.token))
	if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		c.refuse(w, "token", http.StatusUnauthorized, compatAnswer{Message: "the token is wrong"})
		return
	}
	text := r.URL.Query().Get("code")
	if text == "" {
		answerJSON(w, http.StatusOK, compatAnswer{Message: "code is missing"})
		return
	}
	openID := ""
	if codes := login.ReadTyped(text).Codes; len(codes) > 0 {
		var err error
		if openID, err = c.codes.Take(r.Context(), codes[0]); err != nil {
			c.app.log.Warn("gateway: a code of the chat could not be looked up", "error", err)
			w.Header().Set("Retry-After", "2")
			answerJSON(w, http.StatusServiceUnavailable, compatAnswer{Message: "try again in a moment"})
			return
		}
	}
	if openID == "" {
		c.refuse(w, "code", http.StatusOK, compatAnswer{Success: true})
		return
	}
	c.metrics.Count("chat_code", c.settings.Account, "taken")
	answerJSON(w, http.StatusOK, compatAnswer{Success: true, Data: openID})
}

// refuse counts a wrong try and answers it, above the limit with 429.
func (c *compatServer) refuse(w http.ResponseWriter, what string, status int, a compatAnswer) {
	c.metrics.Count("chat_code", c.settings.Account, "wrong_"+what)
	if held, ok := c.lines.Allow(); ok {
		c.app.log.Warn("gateway: /api/wechat/user was asked with something wrong", "wrong", what, "held", held,
			"fix", "compare the application's token with compat.wechat-server.token-file; wrong codes are people who mistype, or guesses")
	}
	if !c.wrongTries.Allow() {
		w.Header().Set("Retry-After", "1")
		answerJSON(w, http.StatusTooManyRequests, compatAnswer{Message: "too many wrong tries"})
		return
	}
	answerJSON(w, status, a)
}

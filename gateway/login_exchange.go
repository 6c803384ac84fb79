package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"posthouse/internal/login"
)

// maxExchange is the longest body of an exchange: two short strings.
const maxExchange = 4 << 10

type (
	exchangeRequest struct {
		Code     string `json:"code"`
		Verifier string `json:"verifier"`
	}
	exchangeAnswer struct {
		Token     string `json:"token"`
		TokenType string `json:"tokenType"`
		ExpiresIn int    `json:"expiresIn"`
	}
)

// exchangeCode is POST /login/exchange (docs/login.md §5): the token for a one-time code
// and its PKCE verifier. The origin was checked before.
func (n *loginNamespace) exchangeCode(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answerJSON(w, http.StatusMethodNotAllowed, failureAnswer{&failure{Code: "method_not_allowed", Message: "Use POST."}})
		return
	}
	if ok, wait := n.exchangeRate.allow(limitKey(n.admission.clientIP(r))); !ok {
		n.metrics.refusals.countRefusal("exchanges_per_ip", "address", n.admission.clientIP(r))
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		answerJSON(w, http.StatusTooManyRequests, failureAnswer{newFailure("rate_limited", wait)})
		return
	}
	var q exchangeRequest
	body := http.MaxBytesReader(w, r.Body, maxExchange)
	if err := decodeOne(body, &q); err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		answerJSON(w, status, failureAnswer{newFailure("bad_request", 0)})
		return
	}
	token, err := n.loginService.Exchange(r.Context(), q.Code, q.Verifier)
	if err != nil {
		n.refuseExchange(w, err)
		return
	}
	life := max(0, time.Until(token.ExpiresAt))
	if n.config.Cookie != "" {
		http.SetCookie(w, &http.Cookie{
			Name: n.config.Cookie, Value: token.JWT, Path: "/", MaxAge: wholeSeconds(life),
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: n.admission.isSecure(r),
		})
	}
	answerJSON(w, http.StatusOK, exchangeAnswer{token.JWT, "Bearer", wholeSeconds(life)})
}

func (n *loginNamespace) refuseExchange(w http.ResponseWriter, err error) {
	f := failureOf(err)
	status := http.StatusUnauthorized // one answer for all that does not fit
	switch {
	case errors.Is(err, login.ErrBadRequest):
		status = http.StatusBadRequest
	case !errors.Is(err, login.ErrUnauthorized):
		n.log.Warn("gateway: exchange failed", "code", f.Code, "error", err)
		status, f = http.StatusServiceUnavailable, newFailure("store_unavailable", 2)
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	answerJSON(w, status, failureAnswer{f})
}

// decodeOne reads exactly one JSON object.
func decodeOne(r io.Reader, dst any) error {
	d := json.NewDecoder(r)
	if err := d.Decode(dst); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = errors.New("gateway: more than one JSON value")
		}
		return err
	}
	return nil
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client may have gone
}

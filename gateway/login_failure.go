package gateway

import (
	"errors"
	"time"

	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

// failure is what a browser is told when something did not work: one of the
// codes of docs/login.md §2 and a sentence, never internal text.
type failure struct {
	Code       string `json:"code" enum:"rate_limited,quota_exhausted,wechat_unavailable,store_unavailable,unknown_account,bad_request,expired,unauthorized"`
	Message    string `json:"message"`
	RetryAfter int    `json:"retryAfter,omitempty" doc:"Seconds."`
}

func (f *failure) Error() string { return "gateway: " + f.Code }

var sentences = map[string]string{
	"rate_limited":       "Too many requests, try again later.",
	"quota_exhausted":    "No more codes can be made today.",
	"wechat_unavailable": "WeChat is not answering.",
	"store_unavailable":  "The service is briefly unavailable.",
	"unknown_account":    "There is no such account.",
	"bad_request":        "The request is not understood.",
	"expired":            "The code has expired.",
	"unauthorized":       "The ticket or its secret is wrong.",
}

func newFailure(code string, retryAfter int) *failure {
	return &failure{Code: code, Message: sentences[code], RetryAfter: retryAfter}
}

// failureOf is the one place where errors become codes.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	switch {
	case errors.Is(err, login.ErrStoreUnavailable):
		return newFailure("store_unavailable", 2)
	case errors.Is(err, login.ErrBadRequest):
		return newFailure("bad_request", 0)
	case errors.Is(err, login.ErrUnauthorized):
		return newFailure("unauthorized", 0)
	}
	var we *wechat.Error
	if errors.As(err, &we) {
		wait := 0
		if !we.Until.IsZero() {
			wait = max(1, int(time.Until(we.Until).Seconds()))
		}
		switch we.Class {
		case wechat.ClassQuota:
			return newFailure("quota_exhausted", wait)
		case wechat.ClassRate:
			return newFailure("rate_limited", max(wait, 1))
		}
		return newFailure("wechat_unavailable", wait)
	}
	return newFailure("wechat_unavailable", 0)
}

package gateway

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
)

// FuzzWebAttempt reads any cookie as an attempt inside WeChat's browser: what is accepted has a
// state, without which no answer of WeChat's could be told from another person's link.
func FuzzWebAttempt(f *testing.F) {
	for _, s := range []string{`{"s":"x","r":"y"}`, `{"s":""}`, `{"S":"x"}`, `[]`, `null`, ``, `{"s":1}`, `{"s":"x"} junk`, "\xff"} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(s)))
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, webAuthReturn+"?code=x&state=", nil)
		r.Header["Cookie"] = []string{webAuthCookie + "=" + value}
		if attempt, ok := readWebAttempt(r); ok && attempt.State == "" {
			t.Fatalf("%q is an attempt without a state", value)
		}
	})
}

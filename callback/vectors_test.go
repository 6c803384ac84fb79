package callback_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"posthouse/callback"
	"posthouse/internal/login"
	"posthouse/internal/wechat"
)

type vector struct {
	Name           string
	Kind           string
	Mode           string
	ConfiguredMode string `json:"configured_mode"`
	Source, Token  string
	AppID          string
	AESKey         string `json:"aes_key"`
	Query          map[string]string
	Body           string
	ContentType    string `json:"content_type"`
	Expect         struct {
		Accept       bool
		Status       int
		Body, Reply  string
		Event, Scene string
		Login        *bool
	}
}

// TestVectors sends every shared vector through Echo, routes and all.
func TestVectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../internal/wechat/testdata/wechat-vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Clock   int64
		Vectors []vector
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, v := range f.Vectors {
		if v.Kind == "reply" {
			continue // no request; internal/wechat has it
		}
		ran++
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			v.run(t, f.Clock)
		})
	}
	if ran < 29 {
		t.Fatalf("only %d vectors", ran)
	}
}

func (v vector) run(t *testing.T, clock int64) {
	r := newRig(t, func(o *callback.Options) {
		a := &o.Accounts[0]
		a.Token = wechat.Secret(v.Token)
		a.Mode = wechat.Mode(v.Mode)
		if v.Mode == "negative" {
			a.Mode = wechat.Mode(v.ConfiguredMode)
		}
		if v.Source == "official" {
			a.OriginalID, a.PreviousAESKey = "", ""
			if v.AppID != "" {
				a.AppID, a.AESKey = v.AppID, wechat.Secret(v.AESKey)
			}
		}
		sent, err := strconv.ParseInt(v.Query["timestamp"], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if d := clock - sent; v.Kind == "push" && (d > 300 || d < -300) {
			clock = sent + 5 // a vector of another day
		}
		o.Now = func() time.Time { return time.Unix(clock, 0) }
	})
	e := echo.New()
	r.Register(e.Group(""))
	q := url.Values{}
	for k, s := range v.Query {
		q.Set(k, s)
	}
	method := http.MethodPost
	if v.Kind == "url_verify" {
		method = http.MethodGet
	}
	req := httptest.NewRequest(method, "/callback/wechat/default?"+q.Encode(), strings.NewReader(v.Body))
	req.Header.Set("Content-Type", v.ContentType)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, req)
	got := w.Body.String()

	if v.Kind == "url_verify" {
		if w.Code != v.Expect.Status || got != v.Expect.Body {
			t.Fatalf("%d %q, want %d %q", w.Code, got, v.Expect.Status, v.Expect.Body)
		}
		return
	}
	if !v.Expect.Accept {
		want := http.StatusForbidden
		if v.Name == "neg_doctype" {
			want = http.StatusBadRequest
		}
		if w.Code != want || got != "" || len(r.claims.made()) != 0 {
			t.Fatalf("%d %q and %d claims, want an empty %d and none", w.Code, got, len(r.claims.made()), want)
		}
		return
	}
	if w.Code != http.StatusOK || got != "success" {
		t.Fatalf("%d %q", w.Code, got)
	}
	switch c := r.claims.made(); {
	case v.Expect.Scene == "" && !strings.EqualFold(v.Expect.Event, "SCAN"):
		if len(c) != 0 {
			t.Fatalf("claimed %v", c)
		}
	default:
		want := login.Claim{AppID: v.AppID, Scene: scene, OpenID: alice}
		if v.Name == "secure_scan_second_person" {
			want.OpenID = bob
		}
		if len(c) != 1 || c[0].AppID != want.AppID || c[0].Scene != want.Scene || c[0].OpenID != want.OpenID {
			t.Fatalf("claims %+v, want %+v", c, want)
		}
	}
}

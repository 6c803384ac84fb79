package gateway

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
)

func accountConfig() Config {
	return Config{
		Addr: ":3000", SocketIOPath: "/socket.io", JWTTTL: Duration(1e9 * 60), TicketTTL: Duration(1e9 * 300),
		WeChat: Account{AppID: "wx1", Secret: "s3cr3t", Token: "token123", AESKey: Secret(strings.Repeat("a", 43)), OriginalID: "gh_1"},
	}
}

// Shells, editors and secret stores add white space, carriage returns and byte order
// marks around a value; with them no signature would ever be right.
func TestConfig_ValuesOfWeChat_AreCleaned(t *testing.T) {
	t.Parallel()
	for _, around := range [][2]string{{"", " "}, {" ", "\r\n"}, {"\ufeff", ""}, {"\u00a0", "\t"}, {"", "\u200b"}} {
		c := accountConfig()
		wrap := func(s string) string { return around[0] + s + around[1] }
		a := &c.WeChat
		a.AppID, a.OriginalID = wrap(a.AppID), wrap(a.OriginalID)
		a.Secret, a.Token, a.AESKey = Secret(wrap(string(a.Secret))), Secret(wrap(string(a.Token))), Secret(wrap(string(a.AESKey)))
		if err := c.Normalize(); err != nil {
			t.Errorf("%q: %v", around, err)
			continue
		}
		got := c.Accounts[0]
		if got.AppID != "wx1" || got.Token != "token123" || got.Secret != "s3cr3t" || len(got.AESKey) != 43 || got.OriginalID != "gh_1" {
			t.Errorf("%q: not cleaned", around)
		}
		if got.Mode != "secure" || got.Language != "zh-CN" || got.APIBase != "https://api.weixin.qq.com" {
			t.Errorf("defaults: %+v", got)
		}
	}
}

func TestConfig_ValuesOfWeChat_QuotesAndSpacesAreRefused(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(*Account){
		"POSTHOUSE_WECHAT_TOKEN":       func(a *Account) { a.Token = "'token123'" },
		"POSTHOUSE_WECHAT_SECRET":      func(a *Account) { a.Secret = "s3 cr3t" },
		"POSTHOUSE_WECHAT_APPID":       func(a *Account) { a.AppID = "\"wx1\"" },
		"POSTHOUSE_WECHAT_ORIGINAL_ID": func(a *Account) { a.OriginalID = "`gh_1`" },
		"POSTHOUSE_WECHAT_AES_KEY":     func(a *Account) { a.AESKey = Secret(strings.Repeat("a", 42) + "ａ") },
	} {
		c := accountConfig()
		spoil(&c.WeChat)
		err := c.Normalize()
		if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "quote") {
			t.Errorf("%s: %v", key, err)
		} else if strings.Contains(err.Error(), "s3 cr3t") || strings.Contains(err.Error(), "token123") {
			t.Errorf("it prints the secret: %v", err)
		}
	}
}

// net/http leaves a cookie with a bad name out of the answer without a word.
func TestConfig_Cookie_BadNamesAreRefused(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"session": true, "__Host-session": true, "": true,
		"a;b": false, "a b": false, "a\rb": false, "a=b": false, "sitzung-ü": false, "a,b": false,
	} {
		c := accountConfig()
		c.Cookie = name
		if err := c.Normalize(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "POSTHOUSE_COOKIE") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestMetrics_Pprof_AnswersLoopbackUnlessAskedFor(t *testing.T) {
	t.Parallel()
	m := newMetrics(func() float64 { return 0 })
	for _, c := range []struct {
		everywhere bool
		peer, path string
		want       int
	}{
		{false, "127.0.0.1:9", "/debug/pprof/", http.StatusOK},
		{false, "[::1]:9", "/debug/pprof/", http.StatusOK},
		{false, "10.0.0.9:9", "/debug/pprof/", http.StatusForbidden},
		{false, "10.0.0.9:9", "/debug/pprof/heap", http.StatusForbidden},
		{false, "10.0.0.9:9", "/metrics", http.StatusOK},
		{true, "10.0.0.9:9", "/debug/pprof/", http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.RemoteAddr = c.peer
		w := httptest.NewRecorder()
		m.handler(c.everywhere).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, ":9100": false, "0.0.0.0:9100": false, "10.0.0.1:1": false} {
		if isLoopback(addr) != want {
			t.Errorf("isLoopback(%q)", addr)
		}
	}
}

// A loop over one picture costs one drawing; a loop over many meets the limit.
func TestQRImage_IsDrawnOnceAndLimitedByAddress(t *testing.T) {
	t.Parallel()
	var c imageCache
	for i := range maxImages + 10 {
		c.put(strings.Repeat("x", i+1), []byte{1})
		c.put(strings.Repeat("x", i+1), []byte{2})
	}
	if len(c.images) != maxImages || len(c.namesByAge) != maxImages {
		t.Errorf("%d pictures, %d in order", len(c.images), len(c.namesByAge))
	}
	if _, ok := c.get("x"); ok {
		t.Error("the oldest is still there")
	}
	if png, ok := c.get(strings.Repeat("x", maxImages+10)); !ok || png[0] != 1 {
		t.Error("the newest is not there")
	}
}

func TestQRImage_ManyDrawings_MeetTheLimitOfTheAddress(t *testing.T) {
	t.Parallel()
	m := newMetrics(func() float64 { return 0 })
	p := &pages{qrPrefixes: []string{"http://weixin.qq.com/"}, admission: &admission{metrics: m}}
	p.drawingRate = newKeyedRate[netip.Addr](Rate{N: 3, Per: time.Hour}, 0)
	get := func(code string) int {
		r := httptest.NewRequest(http.MethodGet, "/login/qr.png?u=http://weixin.qq.com/q/"+code, nil)
		w := httptest.NewRecorder()
		e := echo.New()
		e.GET("/login/qr.png", p.qrPNG)
		e.ServeHTTP(w, r)
		return w.Code
	}
	for range 50 {
		if code := get("one"); code != http.StatusOK {
			t.Fatalf("the same picture again: %d", code)
		}
	}
	if a, b, c := get("two"), get("three"), get("four"); a != 200 || b != 200 || c != http.StatusTooManyRequests {
		t.Errorf("new pictures: %d %d %d", a, b, c)
	}
}

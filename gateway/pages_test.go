package gateway

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
)

func TestEveryWordExistsInEveryLanguage(t *testing.T) {
	t.Parallel()
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(maps.Keys(p.wordsByTag[p.languageTags[0]]))
	for tag, words := range p.wordsByTag {
		if got := slices.Sorted(maps.Keys(words)); !slices.Equal(got, want) {
			t.Errorf("%v has other words than %v", tag, p.languageTags[0])
		}
	}
}

func TestRedirectsAfterLoginStayInTheAllowList(t *testing.T) {
	t.Parallel()
	p := &pages{returnTo: []string{"https://app.example.com/in", "https://whole.example"}}
	for want, allowed := range map[string]bool{
		"/account":                                true,
		"/a?b=c#d":                                true,
		"https://app.example.com/in/x":            true,
		"https://app.example.com/other":           false,
		"http://app.example.com/in":               false,
		"https://app.example.com.evil.com/in":     false,
		"https://a@app.example.com/in":            false,
		"//evil.com":                              false,
		"/\\evil.com":                             false,
		"\\\\evil.com":                            false,
		"javascript:alert(1)":                     false,
		"https://evil.com/":                       false,
		"evil":                                    false,
		"https://app.example.com/in":              true,
		"https://app.example.com/in?a=b#c":        true,
		"HTTPS://APP.example.com:443/in/":         true,
		"https://app.example.com/in/../in/x":      true,
		"https://whole.example":                   true,
		"https://whole.example/any":               true,
		"https://app.example.com/inside":          false,
		"https://app.example.com/in/../x":         false,
		"https://app.example.com/in/%2e%2e/x":     false,
		"https://app.example.com/in/.%2E/x":       false,
		"https://app.example.com/in/..%2fx":       false,
		"https://app.example.com/in/..%5cx":       false,
		"https://app.example.com/in%2f..%2fx":     false,
		"https://app.example.com/in/%252e%252e/x": false,
		"https://app.example.com/in/..%252fx":     false,
		"https://app.example.com/in\\..\\x":       false,
		"https://app.example.com:8443/in":         false,
		"https:/app.example.com/in":               false,
		"https:app.example.com/in":                false,
		"https:///app.example.com/in":             false,
		"https:\\\\app.example.com/in":            false,
		"https://evil.com\\@app.example.com/in":   false,
		"wss://app.example.com/in":                false,
		"/a\tb":                                   false,
		"/a%0d%0ab":                               false,
		"/%zz":                                    false,
		" /a":                                     false,
		"/\n/evil.com":                            false,
		"/.//evil.com":                            false,
		"/a/..//evil.com":                         false,
		"/%2e//evil.com":                          false,
		"java\tscript:alert(1)":                   false,
		"data:text/html,x":                        false,
		"":                                        false,
	} {
		if got := p.safeReturn(want) != ""; got != allowed {
			t.Errorf("%q: allowed %v, want %v", want, got, allowed)
		}
	}
}

func TestReturnTo_IsCleanInThePage(t *testing.T) {
	t.Parallel()
	p := &pages{returnTo: []string{"https://app.example.com/in"}}
	for want, clean := range map[string]string{
		"/cb/../../admin?x=/../y#/..": "/admin?x=/../y#/..",
		"/a/./b/%2E%2e/c":             "/a/c",
		"/a/..":                       "/",
		"/a/b/..":                     "/a/",
		"/a%2Fb/c":                    "/a%2Fb/c",
		"HTTPS://App.Example.com:443/in/x/../y?z": "https://app.example.com/in/y?z",
	} {
		if got := p.safeReturn(want); got != clean {
			t.Errorf("%q became %q, want %q", want, got, clean)
		}
	}
}

func TestReturnTo_Settings_AreWholeURLs(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"https://app.example.com/cb": "https://app.example.com/cb", " http://a.com:80 ": "http://a.com/", "https://a.com/cb/": "https://a.com/cb/",
		"https:": "", "https:/evil": "", "https://": "", "javascript:": "", "javascript:alert(1)": "", "/cb": "", "app.example.com/cb": "", "//a.com/cb": "",
		"https://*.a.com/cb": "", "https://u@a.com/cb": "", "https://a.com/cb?x": "", "https://a.com/cb#x": "", "https://a.com/cb/..": "", "https://a.com/%2e%2e/cb": "",
		"wss://a.com/cb": "", "capacitor://localhost/cb": "", "https://a.com\\cb": "",
	} {
		c := Config{Addr: ":0", SocketIOPath: "/socket.io", JWTTTL: 1, TicketTTL: Duration(time.Minute), ReturnTo: []string{s}}
		err := c.Normalize()
		if want == "" && (err == nil || !strings.Contains(err.Error(), "POSTHOUSE_RETURN_TO")) || want != "" && (err != nil || c.ReturnTo[0] != want) {
			t.Errorf("%q: %q, %v", s, c.ReturnTo, err)
		}
	}
}

// FuzzReturnTo: whatever is wanted, browsers stay here or below the allowed URL.
func FuzzReturnTo(f *testing.F) {
	for _, s := range []string{"/a/../b", "https://app.example.com/in/x", "https://app.example.com/in/..%2fx", "//evil.com", "/.//evil.com", "https:evil"} {
		f.Add(s)
	}
	p := &pages{returnTo: []string{"https://app.example.com/in"}}
	base, _ := url.Parse("https://login.example/login")
	f.Fuzz(func(t *testing.T, want string) {
		got := p.safeReturn(want)
		if got == "" {
			return
		}
		u, err := base.Parse(got)
		if err != nil {
			t.Skip() // net/url is stricter about a fragment
		}
		in := path.Clean(u.Path)
		if u.User != nil || u.Host != base.Host && (u.String() == "" || u.Scheme != "https" || u.Host != "app.example.com" || in != "/in" && !strings.HasPrefix(in, "/in/")) {
			t.Errorf("%q became %q", want, got)
		}
		if again := p.safeReturn(got); again != got {
			t.Errorf("%q became %q, and that %q", want, got, again)
		}
	})
}

// somePages are the pages of an account with a difficult name, as a visitor gets them.
func somePages(t *testing.T) (p *pages, get func(url, language string) *httptest.ResponseRecorder) {
	t.Helper()
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	p.clientURL, p.socketIOPath = "/ws/socket.io.esm.min.js", "/ws"
	p.accounts = map[string]pageAccount{"": {title: "Shop <1>"}, "shop": {title: "Shop <1>"}}
	p.qrPrefixes = []string{"http://weixin.qq.com/"}
	p.originPolicy = &originPolicy{allowedOrigins: []string{"https://app.example.com"}}
	e := echo.New()
	p.register(e)
	return p, func(url, language string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, url, nil)
		r.Header.Set("Accept-Language", language)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	p, get := somePages(t)
	zh, en := get("/login", "zh-CN,zh;q=0.9,en;q=0.8"), get("/login", "fr, en;q=0.5")
	if !strings.Contains(zh.Body.String(), `lang="zh-CN"`) || !strings.Contains(en.Body.String(), `lang="en"`) {
		t.Error("the language does not follow Accept-Language")
	}
	if strings.Contains(en.Body.String(), "Shop <1>") || !strings.Contains(en.Body.String(), "Shop &lt;1&gt;") {
		t.Error("the account's name is not escaped")
	}
	if csp := en.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	if w := get("/login?account=nobody", "en"); w.Code != http.StatusNotFound {
		t.Errorf("an unknown account: %d", w.Code)
	}
	asset := get(p.fingerprinted["login.js"], "en")
	if asset.Code != http.StatusOK || !strings.Contains(asset.Header().Get("Cache-Control"), "immutable") {
		t.Errorf("asset: %d %v", asset.Code, asset.Header())
	}
	if w := get("/assets/0/../login.js", "en"); w.Code != http.StatusNotFound {
		t.Errorf("an asset by another name: %d", w.Code)
	}
	if w := get("/login/qr.svg?u=http%3A%2F%2Fweixin.qq.com%2Fq%2F02abc", "en"); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "<svg") {
		t.Errorf("qr: %d %.60s", w.Code, w.Body)
	}
	if w := get("/login/qr.png?u=https%3A%2F%2Fevil.com%2F", "en"); w.Code != http.StatusBadRequest {
		t.Errorf("a code for somebody else's address: %d", w.Code)
	}
	for face, names := range map[string][]string{
		"the login page": {"login.js", "attempt.js"}, "the element": {"element.js", "attempt.js"}, "the start page": {"start.js"},
	} {
		total := 0
		for _, name := range names {
			total += len(p.assetsByName[strings.TrimPrefix(p.fingerprinted[name], "/assets/")].body)
		}
		t.Logf("%s: %d bytes of script", face, total)
		if total > 15<<10 {
			t.Errorf("%s has %d bytes of script, more than 15 KB", face, total)
		}
	}
	if w := get("/login/element.js", "en"); w.Code != http.StatusOK || !strings.Contains(w.Header().Get("Content-Type"), "javascript") {
		t.Errorf("element: %d %v", w.Code, w.Header())
	}
	if w := get("/login/element.json?lang=zh", "en"); !strings.Contains(w.Body.String(), "微信扫一扫") {
		t.Errorf("the element's words: %s", w.Body)
	}
}

// Each answer tells the browser about itself: pages are checked again every time
// and run nothing but our files, assets never change under their fingerprint, the
// element keeps its address and is checked again, codes are the visitor's alone.
func TestHeadersOfPagesAndAssets(t *testing.T) {
	t.Parallel()
	p, get := somePages(t)
	const code = "?u=http%3A%2F%2Fweixin.qq.com%2Fq%2F02abc"
	for _, c := range []struct{ url, contentType, cache string }{
		{"/", "text/html; charset=UTF-8", "no-cache"},
		{"/login", "text/html; charset=UTF-8", "no-cache"},
		{p.fingerprinted["login.js"], "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"},
		{p.fingerprinted["login.css"], "text/css; charset=utf-8", "public, max-age=31536000, immutable"},
		{p.fingerprinted["icon.svg"], "image/svg+xml", "public, max-age=31536000, immutable"},
		{"/login/element.js", "text/javascript; charset=utf-8", "no-cache"},
		{"/login/attempt.js", "text/javascript; charset=utf-8", "no-cache"},
		{"/login/element.json", "application/json", "no-cache"},
		{"/login/qr.svg" + code, "image/svg+xml", "private, max-age=300"},
		{"/login/qr.png" + code, "image/png", "private, max-age=300"},
	} {
		w := get(c.url, "en")
		h := w.Header()
		if w.Code != http.StatusOK || h.Get("Content-Type") != c.contentType || h.Get("Cache-Control") != c.cache || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d %v", c.url, w.Code, h)
		}
		if strings.HasPrefix(c.contentType, "text/html") {
			checkPolicy(t, c.url, w)
		}
	}
	if w := get("/favicon.ico", "en"); w.Code != http.StatusFound { // a permanent one would outlive the fingerprint
		t.Errorf("favicon: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "/login/element.js", nil)
	r.Header.Set("If-None-Match", get("/login/element.js", "en").Header().Get("ETag"))
	w := httptest.NewRecorder()
	e := echo.New()
	p.register(e)
	if e.ServeHTTP(w, r); w.Code != http.StatusNotModified {
		t.Errorf("the element again: %d", w.Code)
	}
}

var inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son\w+=|javascript:|<script(?:>| [^>]*>[^<])`)

func checkPolicy(t *testing.T, url string, w *httptest.ResponseRecorder) {
	t.Helper()
	h := w.Header()
	if h.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%s: Referrer-Policy %q", url, h.Get("Referrer-Policy"))
	}
	policy := h.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "base-uri 'none'", "form-action 'none'",
		"frame-ancestors 'none'", "require-trusted-types-for 'script'"} {
		if !strings.Contains(policy+";", want+";") {
			t.Errorf("%s: the policy has no %s: %s", url, want, policy)
		}
	}
	// The dictionary is data, not a script.
	body := regexp.MustCompile(`(?s)<script type="application/json".*?</script>`).ReplaceAllString(w.Body.String(), "")
	if found := inline.FindString(body); found != "" {
		t.Errorf("%s: something inline: %q", url, found)
	}
}

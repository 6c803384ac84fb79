package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"posthouse/internal/randid"
)

// Browsers are told apart by a random cookie (docs/wechat.md §4.4): for limits, and for
// the confirm step of unusual logins. It proves nothing: a client that sends none, or a
// new one each time, meets the other limits and counts as never seen. What binds a
// result to its browser are the resume secret and the verifier, which no other page
// can make a browser send.
const (
	browserCookie     = "posthouse-browser"
	browserCookieHost = "__Host-" + browserCookie // where the connection is encrypted
	browserCookieLife = 365 * 24 * time.Hour
	browserCookieSize = 32 // random bytes
)

// knowBrowser returns what stands for r's browser, "" when no limit needs to know.
// One that is new is given its cookie with the answer.
func (a *admission) knowBrowser(w http.ResponseWriter, r *http.Request) string {
	if a == nil || !a.browserCookies {
		return ""
	}
	name, secure := browserCookie, a.isSecure(r)
	if secure {
		name = browserCookieHost
	}
	for _, c := range r.CookiesNamed(name) {
		if raw, err := base64.RawURLEncoding.Strict().DecodeString(c.Value); err == nil && len(raw) == browserCookieSize {
			return browserOf(c.Value)
		}
	}
	value := randid.Text(browserCookieSize)
	w.Header().Add("Set-Cookie", (&http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(browserCookieLife.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	}).String())
	return browserOf(value)
}

// browserOf is what the cookie is kept as: nothing that could be sent again.
func browserOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// isSecure reports whether the browser's connection is encrypted, as far as it is
// known: by this server's own TLS or in a trusted proxy's words.
func (a *admission) isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	proto := strings.ToLower(lastValue(r.Header, "X-Forwarded-Proto"))
	return (proto == "https" || proto == "wss") && trustsProxy(a.trustedProxies, r.RemoteAddr)
}

// clientInfo is where a connection comes from, as far as logins care.
type clientInfo struct {
	clientIP    netip.Addr // that limits count by
	browserHash string     // see knowBrowser
	agentName   string     // "Chrome, Windows"; "" when unknown
	networkName string     // "203.0.113.*"; "" when unknown
}

func newVisit(address netip.Addr, browser, userAgent string) clientInfo {
	return clientInfo{clientIP: limitKey(address), browserHash: browser, agentName: agentName(userAgent), networkName: networkName(address)}
}

// networkName names the network of an address, a /24 or a /48: near enough for a
// person to recognize, too coarse to be anybody's.
func networkName(a netip.Addr) string {
	bits, joker := 24, ".*"
	if a.Is6() {
		bits, joker = 48, ":*"
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil || !a.IsValid() {
		return ""
	}
	if p.Addr().IsUnspecified() {
		return "::*"
	}
	name := p.Addr().String()
	return strings.TrimSuffix(strings.TrimSuffix(name, "::"), ".0") + joker
}

// The order matters: most browsers also claim to be those below them.
var (
	agentBrowsers = []struct{ mark, name string }{
		{"MicroMessenger/", "WeChat"}, {"Edg", "Edge"}, {"OPR/", "Opera"}, {"QQBrowser/", "QQ"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"Chrome/", "Chrome"}, {"CriOS/", "Chrome"}, {"Version/", "Safari"},
	}
	agentSystems = []struct{ mark, name string }{
		{"iPhone", "iOS"}, {"iPad", "iPadOS"}, {"Android", "Android"}, {"Windows", "Windows"},
		{"Mac OS X", "macOS"}, {"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	}
)

// agentName names a browser and its system from closed lists: what a client sends
// is shown on a person's phone, so none of its own words are.
func agentName(userAgent string) string {
	find := func(list []struct{ mark, name string }) string {
		for _, e := range list {
			if strings.Contains(userAgent, e.mark) {
				return e.name
			}
		}
		return ""
	}
	browser, system := find(agentBrowsers), find(agentSystems)
	switch {
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + ", " + system
}

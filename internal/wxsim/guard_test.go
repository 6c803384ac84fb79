package wxsim_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"posthouse/internal/wxsim"
)

func TestOnlyLoopbackPeersOfThisSiteAreAnswered(t *testing.T) {
	for _, c := range []struct {
		name, peer, host string
		header           map[string]string
		remote           bool
		want             int
	}{
		{"a program on this machine", "127.0.0.1:5000", "127.0.0.1:3900", nil, false, 200},
		{"by IPv6", "[::1]:5000", "[::1]:3900", nil, false, 200},
		{"by name", "127.0.0.1:5000", "localhost:3900", nil, false, 200},
		{"another machine", "10.0.0.7:5000", "127.0.0.1:3900", nil, false, 403},
		{"another machine, allowed", "10.0.0.7:5000", "wxsim:3900", nil, true, 200},
		{"a name that was made to point here", "127.0.0.1:5000", "evil.example:3900", nil, false, 403},
		{"the same page", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Origin": "http://127.0.0.1:3900"}, false, 200},
		{"another site's page", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Origin": "https://evil.example"}, false, 403},
		{"another port's page", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Origin": "http://127.0.0.1:8080"}, false, 403},
		{"a sandboxed page", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Origin": "null"}, false, 403},
		{"another site's page, allowed machines", "10.0.0.7:5000", "wxsim:3900", map[string]string{"Origin": "https://evil.example"}, true, 403},
		{"another site's image", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, false, 403},
		{"the world through a proxy", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"X-Forwarded-For": "203.0.113.9"}, false, 403},
		{"this machine through a proxy", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"X-Forwarded-For": "127.0.0.1"}, false, 403},
		{"an address of nobody's", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"X-Real-IP": ""}, false, 403},
		{"Forwarded", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Forwarded": "for=127.0.0.1"}, false, 403},
		{"Via", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"Via": "1.1 varnish"}, false, 403},
		{"a forwarded scheme alone", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"X-Forwarded-Proto": "http"}, false, 403},
		{"a forwarded host alone", "127.0.0.1:5000", "localhost:3900", map[string]string{"X-Forwarded-Host": "localhost"}, false, 403},
		{"a CDN", "127.0.0.1:5000", "localhost:3900", map[string]string{"CF-Connecting-IP": "203.0.113.9"}, false, 403},
		{"through a proxy, allowed", "10.0.0.7:5000", "wxsim:3900", map[string]string{"X-Forwarded-For": "203.0.113.9"}, true, 200},
		{"nginx without settings", "127.0.0.1:5000", "127.0.0.1:3900", map[string]string{"HTTP": "1.0"}, false, 403},
		{"the same page, with its default port", "127.0.0.1:5000", "localhost:80", map[string]string{"Origin": "http://localhost"}, false, 200},
	} {
		sim, err := wxsim.New(&wxsim.Options{AllowRemote: c.remote})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/sim/scan", "/sim/cgi-bin/token", "/sim/clock?advance=0"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"person":"ann"}`))
			r.RemoteAddr, r.Host = c.peer, c.host
			for name, value := range c.header {
				if name == "HTTP" {
					r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.0", 1, 0
					continue
				}
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			sim.Handler().ServeHTTP(w, r)
			refused := w.Code == http.StatusForbidden
			if answers := sim.Answers(r); c.want == 200 && !answers || answers && c.header == nil && c.want == 403 {
				t.Errorf("%s: Answers says %v", c.name, answers)
			}
			if refused != (c.want == 403) {
				t.Errorf("%s: %s answers %d", c.name, path, w.Code)
			}
		}
		sim.Close()
	}
}

func TestThePictureOfACodeIsShownAnywhere(t *testing.T) {
	r := newRig(t, wxsim.Options{})
	ticket, _ := r.code("s1")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.server.URL+"/sim/cgi-bin/showqrcode?ticket="+url.QueryEscape(ticket), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	req.Header.Set("Sec-Fetch-Mode", "no-cors")
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("HTTP %d", resp.StatusCode)
	}
}

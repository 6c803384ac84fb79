package socketio

import (
	"strings"
	"testing"
)

func TestNamePattern_MatchesBySegments(t *testing.T) {
	for _, test := range []struct {
		pattern, name, param, value string
		ok                          bool
	}{
		{"/team/{id}", "/team/7", "id", "7", true},
		{"/team/{id}", "/team/7", "other", "", true},
		{"/team/{id}", "/team/", "id", "", false},
		{"/team/{id}", "/team", "id", "", false},
		{"/team/{id}", "/team/7/x", "id", "", false},
		{"/team/{id}", "/TEAM/7", "id", "", false},
		{"/team/{id}", "team/7", "id", "", false},
		{"/team/{id}/chat", "/team/7/chat", "id", "7", true},
		{"/team/{id}/chat", "/team/7/chatter", "id", "", false},
		{"/team/{id}/chat", "/team//chat", "id", "", false},
		{"/{a}/{b}", "/x/y", "b", "y", true},
		{"/team/*", "/team/anything", "*", "anything", true},
		{"/team/*", "/team/two/segments", "*", "", false},
		{"/team/*", "/team/", "*", "", false},
		{"/team/{id}", "/team/%2F", "id", "%2F", true},
	} {
		p, err := parseNamePattern(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		value, ok := p.match(test.name, test.param)
		if ok != test.ok || ok && value != test.value {
			t.Errorf("%s matches %s: %q, %t", test.pattern, test.name, value, ok)
		}
	}
}

func TestServer_OfPattern_RefusesMalformedPatterns(t *testing.T) {
	for _, pattern := range []string{"", "/", "team/{id}", "/team//x", "/team/", "/*/x", "/a*", "/{}", "/x{id}", "/{id}x", "/{a}/{a}", "/{a{b}}"} {
		if _, err := parseNamePattern(pattern); err == nil || !strings.Contains(err.Error(), "namespace pattern") {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func FuzzNamePattern(f *testing.F) {
	f.Add("/team/{id}", "/team/7")
	f.Add("/a/*", "/a//")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := parseNamePattern(pattern)
		if err != nil {
			return
		}
		if _, ok := p.match(name, ""); !ok {
			return
		}
		// The segments of a name that matches, put into the pattern, make the name again.
		for i, text := range strings.Split(name[1:], "/") {
			if p[i].param == "" && p[i].literal != text || text == "" {
				t.Fatalf("%q matched %q", pattern, name)
			}
			if p[i].param != "" {
				if value, _ := p.match(name, p[i].param); value != text {
					t.Fatalf("%q of %q: %s is %q", pattern, name, p[i].param, value)
				}
			}
		}
	})
}

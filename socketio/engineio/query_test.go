package engineio

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestQuery_AmbiguousParameters_AreMarked(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{ // transport sid revision
		"EIO=4&transport=polling":                   "polling  4",
		"EIO=4&transport=polling&sid=a":             "polling a 4",
		"EIO=4&transport=polling&sid=a&sid=a":       "polling a 4",
		"EIO=4&EIO=4&transport=polling":             "polling  4",
		"transport=polling":                         "polling  3",
		"EIO=4&transport=polling&sid=a%62":          "polling ab 4",
		"EIO=4&transport=polling&x=a;b":             "polling  4",
		"EIO=4&transport=polling&sid=a;b":           "polling a;b 4",
		"EIO=4&transport=polling&x=a;sidecar=b":     "polling  4",
		"EIO=4&transport=polling&sid=a&sid=":        "polling ? 4",
		"EIO=4&transport=polling&sid=a&sid":         "polling ? 4",
		"EIO=4&transport=polling&sid=a&sid=b":       "polling ? 4",
		"EIO=4&transport=polling&s%69d=a":           "polling ? 4",
		"EIO=4&transport=polling&sid[]=a":           "polling ? 4",
		"EIO=4&transport=polling&sid%5B%5D=a":       "polling ? 4",
		"EIO=4&transport=polling&x=a;sid=b":         "polling ? 4",
		"EIO=4&transport=polling&x;s%69d":           "polling ? 4",
		"EIO=4&transport=polling&transport=":        "  4",
		"EIO=4&transpor%74=polling":                 "  4",
		"EIO=4&transport=polling&transport[]=x":     "  4",
		"EIO=4&EIO=3&transport=polling":             "polling  0",
		"EIO[]=4&transport=polling":                 "polling  0",
		"EIO=4&transport=polling&a=1;EIO=3":         "polling  0",
		"EIO=4&transport=polling&a=1;transport=foo": "  4",
	} {
		q := parseQuery(raw)
		sid := q.sid
		if q.sidIsAmbiguous {
			sid = "?"
		}
		if got := q.transport + " " + sid + " " + string(rune('0'+int(q.revision))); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}

// FuzzOpensSession_EveryOpenedSessionIsOne: the server opens no session for a request
// of which OpensSession says no, nor for one that names a session.
func FuzzOpensSession_EveryOpenedSessionIsOne(f *testing.F) {
	for _, seed := range []string{"EIO=4&transport=polling", "transport=polling&sid=x&sid=", "EIO=4&transport=polling&j=0", "transport=polling&a=%zz;sid=x"} {
		f.Add("GET", seed)
	}
	f.Fuzz(func(t *testing.T, method, query string) {
		if method != "GET" && method != "POST" && method != "HEAD" {
			return
		}
		srv := NewServer(&Options{AllowEIO3: true, JSONP: true})
		defer srv.Shutdown(t.Context())
		r := httptest.NewRequest(method, "/engine.io/", nil)
		r.URL = &url.URL{Path: "/engine.io/", RawQuery: query}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if srv.ClientsCount() > 0 && (!OpensSession(r) || SessionID(r) != "") {
			t.Errorf("%s %q opened a session: %s", method, query, w.Body)
		}
		if sid := SessionID(r); sid != "" && OpensSession(r) || strings.Contains(w.Body.String(), `"code":1`) && sid == "" {
			t.Errorf("%s %q: session %q, %s", method, query, sid, w.Body)
		}
	})
}

func BenchmarkParseQuery(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		parseQuery("EIO=4&transport=polling&t=Oc1abcd&sid=Vq2zPqZT7hR0Wl1hAAAB")
	}
}

// The short way of parseQuery and the long one read what is plain alike.
func FuzzParseQuery_BothWaysAgree(f *testing.F) {
	for _, seed := range []string{"EIO=4&transport=polling&t=Oc1abcd&sid=Vq2zPqZT7hR0Wl1hAAAB", "sid=a&sid=&j&b64=1&=x&&EIO", "transport==a&sid=b=c&j=0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if !plainQuery(raw) {
			return
		}
		var a, b query
		var p, q [3]parameter
		a.parsePlain(raw, &p[0], &p[1], &p[2])
		b.parseEscaped(raw, &q[0], &q[1], &q[2])
		if a != b || p != q {
			t.Errorf("%q: %+v %+v, %+v %+v", raw, a, p, b, q)
		}
	})
}

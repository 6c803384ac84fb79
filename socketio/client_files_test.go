package socketio_test

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"posthouse/socketio"
)

func TestClientBundles(t *testing.T) {
	code := strings.Repeat("/* the client */", 100)
	srv := socketio.NewServer(&socketio.Options{Bundles: fstest.MapFS{
		"socket.io.min.js":     {Data: []byte(code)},
		"socket.io.min.js.map": {Data: []byte(`{}`)},
		"other.js":             {Data: []byte("no")},
	}})
	defer srv.Shutdown(bg)
	get := func(method, name string, header ...string) *http.Response {
		r := httptest.NewRequest(method, "/socket.io/"+name, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w.Result()
	}
	body := func(r io.Reader) string { b, err := io.ReadAll(r); noError(t, err); return string(b) }

	r := get("GET", "socket.io.min.js?v=1")
	want(t, body(r.Body), code)
	want(t, r.Header.Get("Content-Type"), "application/javascript; charset=utf-8")
	want(t, r.Header.Get("Cache-Control"), "public, max-age=0")
	etag := r.Header.Get("ETag")
	if len(etag) < 10 || etag[0] != '"' {
		t.Errorf("ETag %s", etag)
	}
	for _, tag := range []string{etag, "W/" + etag, `"x", ` + etag} {
		if r := get("GET", "socket.io.min.js", "If-None-Match", tag); r.StatusCode != http.StatusNotModified || body(r.Body) != "" {
			t.Errorf("%s: status %d", tag, r.StatusCode)
		}
	}
	r = get("GET", "socket.io.min.js", "Accept-Encoding", "deflate;q=0.5, gzip", "If-None-Match", `"other"`)
	want(t, r.Header.Get("Content-Encoding"), "gzip")
	z, err := gzip.NewReader(r.Body)
	noError(t, err)
	want(t, body(z), code)
	r = get("GET", "socket.io.min.js", "Accept-Encoding", "deflate, br")
	want(t, r.Header.Get("Content-Encoding"), "deflate")
	d, err := zlib.NewReader(r.Body)
	noError(t, err)
	want(t, body(d), code)
	r = get("HEAD", "socket.io.min.js.map")
	want(t, r.Header.Get("Content-Type"), "application/json; charset=utf-8")
	want(t, body(r.Body), "")
	for _, name := range []string{"other.js", "socket.io.js", "../socket.io.min.js", "%2e%2e/socket.io.min.js"} {
		if r := get("GET", name); r.StatusCode == http.StatusOK {
			t.Errorf("%s was served", name)
		}
	}
}

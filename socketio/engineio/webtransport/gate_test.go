package webtransport_test

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"posthouse/socketio/engineio"
)

func TestGate(t *testing.T) {
	for name, c := range map[string]struct {
		options engineio.Options
		origin  string
		status  int    // of the CONNECT; 200: refused later
		refusal string // as OnConnectionError sees it
	}{
		"transport not enabled": {options: engineio.Options{Transports: []string{"polling"}}, status: 400, refusal: "0 Transport unknown"},
		"AllowRequest": {options: engineio.Options{AllowRequest: func(*http.Request) error { return errors.New("not you") }},
			status: 200, refusal: "4 Forbidden"},
		"middleware": {options: engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
		}}}, status: http.StatusTeapot},
		"middleware that hides the writer": {options: engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(struct{ http.ResponseWriter }{w}, r) })
		}}}, status: 400, refusal: "3 Bad request"},
		"foreign origin": {origin: "https://evil.example", status: 403, refusal: "4 Forbidden"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, c.options)
			h := http.Header{}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			resp, session, err := r.dial(t, h)
			if resp == nil || resp.StatusCode != c.status {
				t.Fatalf("answer %v, err %v", resp, err)
			}
			if c.status == 200 {
				str, err := session.OpenStream()
				if err != nil {
					t.Fatal(err)
				}
				str.Write([]byte("\x010"))
				(&client{t: t, session: session}).gone()
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			if got := strings.Join(r.refused, ","); got != c.refusal {
				t.Errorf("reported %q, want %q", got, c.refusal)
			}
			if r.engine.ClientsCount() != 0 {
				t.Error("a session was opened")
			}
		})
	}
}

// wrapper is what most middlewares put around a ResponseWriter.
type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestMiddlewaresAreCalledAndMayWrapTheWriter(t *testing.T) {
	seen := make(chan string, 1)
	r := newRig(t, engineio.Options{Middlewares: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Method + " " + r.URL.Path
			w.Header().Set("X-Seen", "yes")
			next.ServeHTTP(wrapper{w}, r)
		})
	}}})
	resp, session, err := r.dial(t, nil)
	if err != nil || resp.Header.Get("X-Seen") != "yes" {
		t.Fatalf("answer %v, err %v", resp, err)
	}
	if got := <-seen; got != "CONNECT /engine.io/" {
		t.Errorf("seen %q", got)
	}
	session.CloseWithError(0, "")
}

func TestRequestsThatAreNoSessions(t *testing.T) {
	r := newRig(t, engineio.Options{})
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // a loopback server of our own
	defer tr.Close()
	for path, status := range map[string]int{"/engine.io/": 400, "/engine.io/?EIO=4&transport=polling": 400, "/": 404} {
		resp, err := (&http.Client{Transport: tr}).Get("https://" + r.addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s: %d, want %d", path, resp.StatusCode, status)
		}
	}
}

func TestAllowRequestIsNotAskedForUpgrades(t *testing.T) {
	var asked atomic.Int32
	r := newRig(t, engineio.Options{AllowRequest: func(*http.Request) error { asked.Add(1); return nil }})
	sid, _ := r.pollingSession(t)
	c := r.connect(t, `0{"sid":"`+sid+`"}`)
	c.send(false, "2probe")
	c.want(false, "3probe")
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times, want once, by the polling handshake", n)
	}
}

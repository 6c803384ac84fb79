package engineio_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// The connections of a client that is gone do not outlive its session, whatever the
// http.Server allows others (docs/reliability.md §3 row F19).
func TestServe_IdleConnections_EndWithTheirSessions(t *testing.T) {
	if !fastPath() {
		t.Skip("the connections are net/http's alone here")
	}
	o := engineio.Options{PingInterval: 150 * time.Millisecond, PingTimeout: 100 * time.Millisecond}
	with := func(field string) string { return strings.Replace(get(""), "Host: x", "Host: x\r\n"+field, 1) }
	for name, test := range map[string]struct {
		request string
		stays   bool
	}{
		"loop":                    {get(""), false},
		"loop, another path":      {"GET /page HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"net/http":                {with("TE: trailers"), false},
		"loop behind a proxy":     {with("X-Forwarded-For: 192.0.2.1"), true},
		"net/http behind a proxy": {with("TE: trailers\r\nx-forwarded-for: 192.0.2.1"), true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, idle := range []time.Duration{time.Minute, 0} {
				if idle == 0 && strings.Contains(test.request, "TE") {
					continue // net/http then sets no deadline
				}
				w := serveTCP(t, o, func(w *served) { w.hs.IdleTimeout = idle })
				l := w.line()
				l.send(test.request)
				if r := l.answer(); r.lost {
					t.Fatalf("%+v", r)
				}
				if !test.stays {
					if !l.ended() {
						t.Error("something follows the answer")
					}
					continue
				}
				direct := w.line() // ends, later than the other would have
				direct.open()
				direct.ended()
				l.send(test.request)
				if r := l.answer(); r.status != http.StatusOK {
					t.Errorf("it did not stay: %+v", r)
				}
			}
		})
	}
}

// The poll that waits when a session ends for want of a pong takes its connection
// with it.
func TestSession_PingTimeout_EndsTheConnectionOfThePoll(t *testing.T) {
	o := engineio.Options{PingInterval: 50 * time.Millisecond, PingTimeout: 100 * time.Millisecond}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) {
		l := w.line()
		sid := l.open()
		l.send(get(sid))
		if r := l.answer(); r.body != "2" {
			t.Fatalf("%+v", r)
		}
		l.send(get(sid))
		if r := l.answer(); r.body != "1" {
			t.Fatalf("%+v", r)
		}
		if n, err := io.Copy(io.Discard, l.br); n != 0 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

package engineio_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// A body above MaxPayload ends the session and the connection, on both ways
// (docs/reliability.md §4 row 4).
func TestServer_BodyAboveMaxPayload_EndsSessionAndConnection(t *testing.T) {
	const limit = 1000
	bodies := map[string]func(sid string) string{
		"length":          func(sid string) string { return post(sid, "4"+strings.Repeat("x", limit)) },
		"length, far off": func(sid string) string { return post(sid, "4"+strings.Repeat("x", 100*limit)) },
		"lying length": func(sid string) string {
			return strings.Replace(post(sid, "4x"), "Content-Length: 2", "Content-Length: 2000000000", 1)
		},
		"chunks without end": func(sid string) string {
			return strings.Replace(post(sid, ""), "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"+strings.Repeat("64\r\n"+strings.Repeat("4", 100)+"\r\n", 20), 1)
		},
		"expectation": func(sid string) string {
			return strings.Replace(post(sid, "4x"), "Content-Length: 2", fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d", limit+1), 1)
		},
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			overTCP(t, engineio.Options{MaxPayload: limit, MaxBuffered: limit, BodyTimeout: 200 * time.Millisecond}, nil, func(t *testing.T, w *tcp) {
				l := w.line()
				sid := l.open()
				p := <-w.peers
				poll := w.line()
				poll.send(get(sid))
				io.WriteString(l.conn, body(sid)) // the server need not take it all
				r := l.answer()
				if r.status != http.StatusRequestEntityTooLarge {
					t.Errorf("%+v", r)
				}
				if _, err := io.Copy(io.Discard, l.br); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the connection stays open")
				}
				if r := poll.answer(); r.body != "1" && r.status != 400 {
					t.Errorf("the poll that waits: %+v", r)
				}
				other := w.line()
				other.send(post(sid, "4x"))
				if r := other.answer(); r.status != 400 {
					t.Errorf("the session goes on: %+v", r)
				}
				eventually(t, "the session has ended", func() bool {
					reason, _ := p.end()
					return reason == engineio.ReasonTransportError
				})
				if m := p.messages(); len(m) != 0 {
					t.Errorf("%d messages were delivered", len(m))
				}
			})
		})
	}
}

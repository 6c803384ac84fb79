package engineio_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"posthouse/socketio/engineio"
)

// A poll outlives the timeouts of the http.Server that it came to, which are for
// requests that are answered at once.
func TestServer_LongPoll_OutlivesTheTimeoutsOfItsServer(t *testing.T) {
	for name, hs := range map[string]*http.Server{
		"WriteTimeout": {WriteTimeout: 3 * time.Second},
		"ReadTimeout":  {ReadTimeout: 3 * time.Second, IdleTimeout: time.Minute},
		"both":         {ReadTimeout: time.Second, WriteTimeout: time.Second, IdleTimeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			p := new(peer)
			srv := engineio.NewServer(&engineio.Options{
				PingInterval: 6 * time.Second, PingTimeout: 20 * time.Second,
				Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
					p.s = s
					p.receive = func(m engineio.Message) error {
						if string(m.Data) == "pause" {
							time.AfterFunc(8*time.Second, s.Resume)
							return engineio.ErrPause
						}
						return nil
					}
					return p, nil
				},
			})
			hs.Handler = srv
			onPipe(t, hs, func(t *testing.T, conn net.Conn) {
				l := newLine(t, conn)
				conn.SetDeadline(time.Time{})
				sid := l.open()
				for range 10 {
					l.send(get(sid))
					if r := l.answer(); r.body != "2" {
						t.Fatalf("%+v", r)
					}
					l.send(post(sid, "3"))
					if r := l.answer(); r.body != "ok" {
						t.Fatalf("%+v", r)
					}
				}
				// The answer of a POST waits, too, while the handler is paused.
				l.send(post(sid, "4pause\x1e4more"))
				if r := l.answer(); r.body != "ok" {
					t.Fatalf("%+v", r)
				}
				if m := p.messages(); len(m) != 2 {
					t.Errorf("%q", m)
				}
				if err := srv.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

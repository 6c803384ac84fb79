package engineio_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"posthouse/socketio/engineio"
)

func TestSession_HandlerPanicEndsItsSessionOnly(t *testing.T) {
	var log bytes.Buffer
	o := engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	inWorld(t, o, func(p *peer) {
		p.receive = func(m engineio.Message) error { panic("boom") }
	}, func(w *world) {
		other := w.websocket("EIO=4&transport=websocket", nil)
		other.recv()
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.send("4x")
		if e := s.recv(); e.close != 1005 {
			t.Errorf("got %+v", e)
		}
		sid := w.open("EIO=4&transport=polling")
		if r := w.post("EIO=4&transport=polling&sid="+sid, "4x"); r.status != 200 {
			t.Errorf("got %+v", r)
		}
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
		if n := w.server.ClientsCount(); n != 1 {
			t.Errorf("%d sessions", n)
		}
		if n := strings.Count(log.String(), "boom"); n != 2 {
			t.Errorf("%d panics were logged", n)
		}
	})
	o.Accept = func(*engineio.Session, *http.Request) (engineio.Handler, error) { panic("early") }
	inWorld(t, o, nil, func(w *world) {
		if r := w.get("EIO=4&transport=polling"); r.status != 403 {
			t.Errorf("got %+v", r)
		}
		synctest.Wait()
		if n := w.server.ClientsCount(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

package engineio_test

import (
	"net/http"
	"testing"

	"posthouse/socketio/engineio"
)

// A server that drains sends new clients elsewhere and keeps those that it has
// (docs/reliability.md §7).
func TestServer_Drain_RefusesNewSessionsWith503(t *testing.T) {
	check := func(w *world) {
		const q = "EIO=4&transport=polling"
		kept := w.open(q)
		w.server.Drain()
		w.server.Drain()
		for _, query := range []string{q, "EIO=3&transport=polling"} {
			r := w.get(query)
			if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") != "1" || r.body != `{"code":3,"message":"Service unavailable"}` {
				t.Errorf("%s: %+v", query, r)
			}
		}
		s := w.websocket("EIO=4&transport=websocket", nil)
		if s.refuse == nil || s.refuse.status != http.StatusServiceUnavailable || s.refuse.header.Get("Retry-After") != "1" || s.refuse.body != "Service unavailable" {
			t.Errorf("WebSocket: %+v", s.refuse)
		}
		if r := w.post(q+"&sid="+kept, "4a"); r.body != "ok" {
			t.Errorf("POST of a session: %+v", r)
		}
		if r := w.get(q + "&sid=" + kept); r.body != "4a" {
			t.Errorf("GET of a session: %+v", r)
		}
		up := w.websocket("EIO=4&transport=websocket&sid="+kept, nil)
		up.send("2probe")
		up.expect(t, "3probe")
		up.send("5")
		up.send("4b")
		up.expect(t, "4b")
		if n := w.server.ClientsCount(); n != 1 {
			t.Errorf("%d sessions", n)
		}
	}
	o := engineio.Options{AllowEIO3: true}
	inWorld(t, o, echo, check)
	inServedWorld(t, o, echo, check)
}

package engineio_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
	"posthouse/socketio/engineio/internal/ws"
)

// The tests in this file are the rows of the reliability notes that are Engine.IO's.

func TestOrigin_ForeignIsRefused(t *testing.T) { // CVE-2020-28481, CVE-2019-13611; docs/reliability.md §4 row 25
	evil := map[string]string{"Origin": "https://evil.example"}
	const q = "EIO=4&transport=polling"
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		r := w.start("GET", q, evil, "").wait()
		if r.status != 403 || r.body != `{"code":4,"message":"Forbidden"}` || r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("polling handshake: %+v", r)
		}
		if s := w.websocket("EIO=4&transport=websocket", evil); s.refuse == nil || s.refuse.status != 403 {
			t.Errorf("websocket handshake: %+v", s.refuse)
		}
		sid := w.open(q)
		for _, method := range []string{"GET", "POST"} {
			if r := w.start(method, q+"&sid="+sid, evil, "4x").wait(); r.status != 403 {
				t.Errorf("%s: %+v", method, r)
			}
		}
		if s := w.websocket("EIO=4&transport=websocket&sid="+sid, evil); s.refuse == nil || s.refuse.status != 403 {
			t.Errorf("upgrade: %+v", s.refuse)
		}
		for _, own := range []string{"https://example.test", "http://EXAMPLE.test"} {
			if r := w.start("GET", q, map[string]string{"Origin": own}, "").wait(); r.status != 200 {
				t.Errorf("%s: %+v", own, r)
			}
		}
		if r := w.start("GET", q, map[string]string{"Origin": "null"}, "").wait(); r.status != 403 {
			t.Errorf("null: %+v", r)
		}
	})
	for name, o := range map[string]engineio.Options{
		"any":  {AnyOrigin: true},
		"cors": {CORS: &engineio.CORS{Origins: []string{"https://evil.example"}}},
		"star": {CORS: &engineio.CORS{}},
	} {
		inWorld(t, o, nil, func(w *world) {
			if s := w.websocket("EIO=4&transport=websocket", evil); s.refuse != nil {
				t.Errorf("%s: %+v", name, s.refuse)
			}
		})
	}
}

func TestCORS_FunctionAndPatterns(t *testing.T) {
	o := engineio.Options{CORS: &engineio.CORS{OriginFunc: func(r *http.Request, origin string) (bool, error) {
		if origin == "http://error.example" {
			return false, fmt.Errorf("database down")
		}
		return origin == "http://good.example", nil
	}}}
	inWorld(t, o, nil, func(w *world) {
		for origin, status := range map[string]int{"http://good.example": 200, "http://bad.example": 403, "http://error.example": 400} {
			r := w.start("GET", "EIO=4&transport=polling", map[string]string{"Origin": origin}, "").wait()
			allowed := r.header.Get("Access-Control-Allow-Origin")
			if r.status != status || (allowed == origin) != (status == 200) || strings.Contains(r.body, "database") {
				t.Errorf("%s: %+v", origin, r)
			}
		}
	})
}

func TestHandshake_OddQueries(t *testing.T) { // CVE-2023-31125
	for query, body := range map[string]string{
		"EIO=4&transport=foo":                         "Transport unknown",
		"EIO=4&transport=constructor":                 "Transport unknown",
		"EIO=4&transport=__proto__":                   "Transport unknown",
		"EIO=4&transport=":                            "Transport unknown",
		"EIO=4&transport=polling&transport=websocket": "Transport unknown",
		"EIO=4&EIO=3&transport=websocket":             "Unsupported protocol version",
		"EIO[]=4&transport=websocket":                 "Unsupported protocol version",
		"EIO=4&transport=websocket&sid=__proto__":     "Session ID unknown",
		"EIO=4&transport=websocket&sid=%00%0d%0a*":    "Session ID unknown",
	} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			s := w.websocket(query, nil)
			if s.refuse == nil || s.refuse.status != 400 || s.refuse.body != body {
				t.Errorf("%s: %+v", query, s.refuse)
			}
			if n := w.server.ClientsCount(); n != 0 {
				t.Errorf("%s: %d sessions", query, n)
			}
		})
	}
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		if r := w.get("EIO=4&transport=polling&transport=polling"); r.status != 200 {
			t.Errorf("repeated: %+v", r)
		}
		if r := w.get("EIO=4&transport=polling&sid=" + strings.Repeat("x", 10_000)); r.status != 400 {
			t.Errorf("long sid: %+v", r)
		}
	})
}

func TestPolling_PayloadLimits(t *testing.T) { // CVE-2020-36048; docs/reliability.md §4 rows 4 and 5
	inWorld(t, engineio.Options{AllowEIO3: true}, echo, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		for _, n := range []int{1001, 500_000} { // as many as fit into MaxPayload
			w.last().got, w.last().receive = nil, nil
			r := w.post("EIO=4&transport=polling&sid="+sid, strings.Repeat("4\x1e", n-1)+"4")
			if got := len(w.last().messages()); r.body != "ok" || got != n {
				t.Errorf("%d packets: %d came, %+v", n, got, r)
			}
		}
		sid = w.open("EIO=3&transport=polling")
		begin := time.Now()
		w.post("EIO=3&transport=polling&sid="+sid, strings.Repeat("1:2", 300_000)) // control packets have a limit
		synctest.Wait()
		if reason, _ := w.last().end(); reason == "" || time.Since(begin) != 0 {
			t.Errorf("300 000 pings: %q", reason)
		}
	})
}

// docs/reliability.md §4 row 20: text that is not UTF-8 is refused as a whole.
func TestPolling_InvalidUTF8InABodyIsRefused(t *testing.T) {
	octets := map[string]string{"Content-Type": "application/octet-stream"}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	for _, c := range []struct {
		name, query, body string
		header            map[string]string
	}{
		{"revision 4", "EIO=4&transport=polling", "4a\x1e4\xff", nil},
		{"cut rune", "EIO=4&transport=polling", "4\xe4\xbd", nil},
		{"surrogate", "EIO=4&transport=polling", "4\xed\xa0\x80", nil},
		{"revision 3", "EIO=3&transport=polling", "2:4a2:4\xff", nil},
		{"text in binary form", "EIO=3&transport=polling", "\x00\x02\xff4\xff", octets},
		{"script", "EIO=4&transport=polling&j=0", "d=4%ff", form},
	} {
		run := func(t *testing.T, w *world) {
			sid := w.open(c.query)
			if r := w.start("POST", c.query+"&sid="+sid, c.header, c.body).wait(); r.status != 400 || r.body != "" {
				t.Errorf("%s: %+v", c.name, r)
			}
			if got := w.last().messages(); len(got) > 0 {
				t.Errorf("%s: %q was delivered", c.name, got)
			}
			eventually(t, c.name+": the session ends", w.last().ended)
			if reason, _ := w.last().end(); reason != engineio.ReasonParseError {
				t.Errorf("%s: reason %q", c.name, reason)
			}
			if r := w.get(c.query + "&sid=" + sid); r.status != 400 {
				t.Errorf("%s: a later poll: %+v", c.name, r)
			}
		}
		o := engineio.Options{AllowEIO3: true, JSONP: true}
		inWorld(t, o, nil, func(w *world) { run(t, w) })
		inServedWorld(t, o, nil, func(w *world) { run(t, w) })
	}
}

// docs/reliability.md §4 row 4.
func TestPolling_LyingContentLengthAllocatesNothing(t *testing.T) {
	inWorld(t, engineio.Options{MaxPayload: 1 << 30}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := w.raw("POST", "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", []byte("4x"))
		synctest.Wait()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%d bytes were allocated", n)
		}
		c.conn.Close()
	})
}

// docs/reliability.md §4 row 3.
func TestOptions_BodyTimeout_SlowBodiesAreCutOff(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		c := w.raw("POST", "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", []byte("4x"))
		if d := since(func() {
			if r := c.wait(); !r.lost {
				t.Errorf("got %+v", r)
			}
		}); d != 10*time.Second {
			t.Errorf("cut off after %v", d)
		}
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonTransportError {
			t.Errorf("reason %q", reason)
		}
	})
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		c := w.raw("POST", "POST /engine.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
		go func() {
			for { // a byte every half second
				time.Sleep(time.Second / 2)
				if _, err := c.conn.Write([]byte("4")); err != nil {
					return
				}
			}
		}()
		if d := since(func() { c.wait() }); d > 3*time.Second {
			t.Errorf("cut off after %v", d)
		}
		time.Sleep(time.Second) // for the writer to notice
	})
}

func TestControlFloods(t *testing.T) { // CVE-2026-48802; docs/reliability.md §4 row 10
	for _, query := range []string{"EIO=4&transport=websocket", "EIO=3&transport=websocket"} {
		inWorld(t, engineio.Options{AllowEIO3: true}, echo, func(w *world) {
			packet := "3"
			if strings.HasPrefix(query, "EIO=3") {
				packet = "2"
			}
			s := w.websocket(query, nil)
			s.recv()
			var burst []byte
			for range 50 {
				burst = appendMasked(burst, packet)
			}
			s.conn.Write(appendMasked(burst, "4x"))
			for n := 0; ; n++ {
				if e := s.recv(); e.text == "4x" {
					if n > 10 {
						t.Errorf("%d pongs", n)
					}
					break
				}
			}
			if reason, _ := w.last().end(); reason != "" {
				t.Fatalf("%s: closed at 50: %q", query, reason)
			}
			s.conn.Write(burst)
			go s.conn.Write(burst)
			synctest.Wait()
			if reason, _ := w.last().end(); reason != engineio.ReasonTransportError {
				t.Errorf("%s: reason %q", query, reason)
			}
		})
	}
}

func TestWebSocket_ReservedBitsInTheFirstFrame(t *testing.T) { // CVE-2022-21676
	for _, bit := range []byte{0x20, 0x10} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			frame := appendMasked(nil, "4x")
			frame[0] |= bit
			conn := w.dial()
			go conn.Write(append([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"+upgradeHead+"\r\n"), frame...))
			s := readSocket(t, conn)
			s.recv()
			if e := s.recv(); e.close != 1002 {
				t.Errorf("got %+v", e)
			}
			synctest.Wait()
			if reason, _ := w.last().end(); reason != engineio.ReasonTransportError {
				t.Errorf("reason %q", reason)
			}
		})
	}
}

func TestOptions_MaxPayload_AnnouncedLengthsAreRefusedUnread(t *testing.T) { // CVE-2016-10542; docs/reliability.md §4 row 7
	for _, header := range [][]byte{
		{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4},
		{0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4},
		{0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x41, 1, 2, 3, 4}, // one more than the limit
	} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			s := w.websocket("EIO=4&transport=websocket", nil)
			s.recv()
			s.conn.Write(header)
			if e := s.recv(); e.close != 1009 {
				t.Errorf("got %+v", e)
			}
		})
	}
}

// docs/reliability.md §4 row 20.
func TestWebSocket_InvalidUTF8InATextFrame(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.write(ws.Text, []byte("4\xff"))
		if e := s.recv(); e.close != 1007 {
			t.Errorf("got %+v", e)
		}
	})
}

// docs/reliability.md §4 row 25.
func TestOptions_JSONPIsOff(t *testing.T) {
	inWorld(t, engineio.Options{AllowEIO3: true}, nil, func(w *world) {
		if r := w.get("EIO=3&transport=polling&j=0"); r.status != 400 {
			t.Errorf("got %+v", r)
		}
	})
}

func TestUpgrade_RefusedLeavesNothingBehind(t *testing.T) { // CVE-2022-41940
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		for i := range 1000 {
			conn := w.dial()
			query := []string{"EIO=4&transport=x", "EIO=4&transport=websocket&sid=x", "EIO=4&transport=websocket"}[i%3]
			conn.Write([]byte("GET /engine.io/?" + query + " HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"))
			conn.Close()
		}
		synctest.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := w.server.ClientsCount(); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

func TestWebSocket_OddExtensionAndProtocolHeaders(t *testing.T) { // GHSA-5v72-xg48-5rpm, CVE-2021-32640
	for _, h := range []map[string]string{
		{"Sec-WebSocket-Extensions": "constructor"}, {"Sec-WebSocket-Extensions": "; ="},
		{"Sec-WebSocket-Extensions": strings.Repeat(";", 8192)}, {"Sec-WebSocket-Protocol": "b" + strings.Repeat(" ", 32<<10) + "x"},
	} {
		for _, o := range []engineio.Options{{}, {PerMessageDeflate: &engineio.PerMessageDeflate{}}} {
			inWorld(t, o, nil, func(w *world) {
				if s := w.websocket("EIO=4&transport=websocket", h); s.refuse != nil && s.refuse.status != 400 {
					t.Errorf("%.30v: %+v", h, s.refuse)
				}
			})
		}
	}
}

// docs/reliability.md §4 row 8.
func TestOptions_MaxPayload_DeflateBombIsRefused(t *testing.T) {
	inWorld(t, engineio.Options{PerMessageDeflate: &engineio.PerMessageDeflate{}}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate"})
		if !strings.HasPrefix(s.header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Fatalf("not negotiated: %v", s.header)
		}
		s.recv()
		s.conn.Write(deflatedFrame(strings.Repeat("4", 50<<20)))
		if e := s.recv(); e.close != 1009 {
			t.Errorf("got %+v", e)
		}
	})
}

// A long payload is delivered in slices, between which others get their turn.
func TestPolling_LongPayloadLeavesTurnsToOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var ran atomic.Bool
	delivered, when := 0, 0
	setup := func(p *peer) {
		p.receive = func(engineio.Message) error {
			if delivered++; delivered == 1 {
				go ran.Store(true)
			}
			if when == 0 && ran.Load() {
				when = delivered
			}
			return nil
		}
	}
	inServedWorld(t, engineio.Options{}, setup, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		w.post("EIO=4&transport=polling&sid="+sid, strings.Repeat("4\x1e", 1999)+"4")
		if delivered != 2000 || when == 0 || when > 1000 {
			t.Errorf("%d packets were delivered, another goroutine ran at the %d", delivered, when)
		}
	})
}

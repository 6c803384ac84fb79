package engineio_test

import (
	"net"
	"runtime"
	"testing"
	"testing/synctest"

	"posthouse/socketio/engineio"
)

func TestWebSocket_GoroutinesOfIdleConnections(t *testing.T) {
	const n = 100
	for name, rd := range readings {
		if rd.tls {
			continue // see TestServeTLS_IdleWebSocketsHaveNoGoroutines
		}
		t.Run(name, func(t *testing.T) {
			addr, stop := startTCP(t, rd, engineio.Options{}, echo)
			defer stop()
			before := runtime.NumGoroutine()
			var conns []net.Conn
			for range n {
				c, _ := rawWebSocket(t, addr)
				conns = append(conns, c)
			}
			limit := n + 5
			if engineio.HasLoops && !rd.goroutines {
				limit = runtime.GOMAXPROCS(0) + 5
			}
			got := 0
			eventually(t, "the goroutines of the handshakes are gone", func() bool {
				got = runtime.NumGoroutine() - before
				return got <= limit
			})
			for _, c := range conns {
				c.Close()
			}
		})
	}
}

// BenchmarkIdle reports what a connection that only waits costs. The client's
// half is in the same process, so the heap holds it too.
func BenchmarkIdle(b *testing.B) {
	addr, stop := startTCP(b, reading{serve: true}, engineio.Options{}, echo)
	defer stop()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var conns []net.Conn
	for b.Loop() {
		conn, _ := rawWebSocket(b, addr)
		conns = append(conns, conn)
	}
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	n := float64(b.N)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/conn")
	b.ReportMetric(float64(after.StackInuse-before.StackInuse)/n, "stack-B/conn")
	for _, c := range conns {
		c.Close()
	}
}

func TestWebSocket_ControlFramesAndClosePackets(t *testing.T) {
	inWorld(t, engineio.Options{}, echo, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.conn.Write(ping("are you there"))
		s.send("4x")
		s.expect(t, "4x")
		if string(s.pong) != "are you there" {
			t.Errorf("pong %q", s.pong)
		}
		s.send("1") // Node waits for its ping timeout here
		if e := s.recv(); e.close != 1005 {
			t.Errorf("got %+v", e)
		}
		synctest.Wait()
		if reason, _ := w.last().end(); reason != engineio.ReasonTransportClose {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestSession_Discard_WebSocket(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.stall() // the queue never drains
		p := w.last()
		p.s.Send(text("x"))
		p.s.Close()
		synctest.Wait()
		if reason, _ := p.end(); reason != "" {
			t.Errorf("Close did not wait: %q", reason)
		}
		p.s.Discard()
		synctest.Wait()
		if reason, _ := p.end(); reason != engineio.ReasonForcedClose {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestUpgrade_ProbeThatSaysNothingEnds(t *testing.T) {
	inWorld(t, engineio.Options{}, echo, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		if d := since(func() { s.recv() }); d.Seconds() != 10 {
			t.Errorf("closed after %v", d)
		}
		w.post("EIO=4&transport=polling&sid="+sid, "4x")
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "4x" {
			t.Errorf("got %+v", r)
		}
	})
}

package engineio_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

func TestSession_ID(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		seen := map[string]bool{}
		for range 200 {
			sid := w.open("EIO=4&transport=polling")
			if len(sid) != 20 || strings.Trim(sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
				t.Fatalf("id %q", sid)
			}
			if seen[sid] || seen[sid[:10]] || seen[sid[10:]] {
				t.Fatalf("part of id %q came before", sid)
			}
			seen[sid], seen[sid[:10]], seen[sid[10:]] = true, true, true
		}
		if n := w.server.ClientsCount(); n != 200 {
			t.Errorf("ClientsCount: %d", n)
		}
	})
}

func TestSession_Pause_HoldsAWebSocketBack(t *testing.T) {
	pauseAt := func(p *peer) {
		p.receive = func(m engineio.Message) error {
			if string(m.Data) == "pause" {
				return engineio.ErrPause
			}
			return nil
		}
	}
	inWorld(t, engineio.Options{}, pauseAt, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.send("4a")
		s.send("4pause")
		go func() { s.send("4b"); s.send("4c") }()
		synctest.Wait()
		p := w.last()
		if got := p.messages(); !slices.Equal(got, []string{"a", "pause"}) {
			t.Fatalf("while paused: %q", got)
		}
		// The peer is not to blame for what we do not read.
		time.Sleep(3 * time.Minute)
		if reason, _ := p.end(); reason != "" {
			t.Fatalf("closed while paused: %q", reason)
		}
		p.s.Resume()
		synctest.Wait()
		if got := p.messages(); !slices.Equal(got, []string{"a", "pause", "b", "c"}) {
			t.Fatalf("after the pause: %q", got)
		}
	})
}

func TestSession_Pause_InsideOneRead(t *testing.T) {
	for _, transport := range []string{"websocket", "polling"} {
		early := func(p *peer) {
			p.receive = func(m engineio.Message) error {
				if string(m.Data) == "early" {
					p.s.Resume() // before the pause has begun: it must not be lost
				}
				return engineio.ErrPause
			}
		}
		inWorld(t, engineio.Options{}, early, func(w *world) {
			var answer *call
			if transport == "websocket" {
				s := w.websocket("EIO=4&transport=websocket", nil)
				s.recv()
				var burst []byte
				for _, m := range []string{"4early", "4x", "4y"} {
					burst = appendMasked(burst, m)
				}
				s.conn.Write(burst)
			} else {
				sid := w.open("EIO=4&transport=polling")
				answer = w.start("POST", "EIO=4&transport=polling&sid="+sid, nil, "4early\x1e4x\x1e4y")
			}
			for i, want := range [][]string{{"early", "x"}, {"early", "x", "y"}} {
				synctest.Wait()
				if got := w.last().messages(); !slices.Equal(got, want) {
					t.Fatalf("%s, step %d: %q", transport, i, got)
				}
				if answer != nil {
					select {
					case <-answer.done:
						t.Fatal("the POST was answered while paused")
					default:
					}
				}
				w.last().s.Resume()
			}
			if answer != nil {
				if r := answer.wait(); r.body != "ok" {
					t.Errorf("answer %+v", r)
				}
			}
		})
	}
}

func TestSession_Pause_OutlivesAnUpgrade(t *testing.T) {
	inWorld(t, engineio.Options{}, func(p *peer) {
		p.receive = func(m engineio.Message) error {
			if string(m.Data) == "pause" {
				return engineio.ErrPause
			}
			return nil
		}
	}, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		c := w.start("POST", "EIO=4&transport=polling&sid="+sid, nil, "4pause\x1e4cut off")
		synctest.Wait()
		s.conn.Write(appendMasked(appendMasked(nil, "5"), "4x")) // impatient: the POST is not answered
		c.wait()
		synctest.Wait()
		if got := w.last().messages(); !slices.Equal(got, []string{"pause"}) {
			t.Errorf("while paused: %q", got)
		}
		w.last().s.Resume()
		s.send("4y")
		synctest.Wait()
		if got := w.last().messages(); !slices.Equal(got, []string{"pause", "x", "y"}) {
			t.Errorf("after the pause: %q", got)
		}
	})
}

func TestSession_HandlerErrorClosesTheSession(t *testing.T) {
	failed := errors.New("no")
	inWorld(t, engineio.Options{}, func(p *peer) {
		p.receive = func(engineio.Message) error { return failed }
	}, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.conn.Write(appendMasked(appendMasked(nil, "4a"), "4b"))
		if e := s.recv(); e.close != 1005 {
			t.Errorf("got %+v", e)
		}
		synctest.Wait()
		reason, err := w.last().end()
		if reason != engineio.ReasonForcedClose || !errors.Is(err, failed) || len(w.last().messages()) != 1 {
			t.Errorf("%q, %v, %q", reason, err, w.last().messages())
		}
	})
}

// docs/conformance.md behaviour 16
func TestSession_AfterFlush_CallsInOrderOnceEach(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		p := w.last()
		var mu sync.Mutex
		var order []int
		note := func(n int) func() {
			return func() { mu.Lock(); defer mu.Unlock(); order = append(order, n) }
		}
		p.s.AfterFlush(note(0)) // nothing is queued
		synctest.Wait()
		p.s.Send(text("a"))
		p.s.AfterFlush(note(1))
		p.s.Send(text("b"))
		p.s.AfterFlush(note(2))
		synctest.Wait()
		if len(order) != 1 {
			t.Fatalf("before the poll: %v", order)
		}
		w.get("EIO=4&transport=polling&sid=" + sid)
		synctest.Wait()
		if !slices.Equal(order, []int{0, 1, 2}) {
			t.Fatalf("after the poll: %v", order)
		}
		p.s.Send(text("never"))
		p.s.AfterFlush(func() { t.Error("called for what was not sent") })
		p.s.Discard()
		synctest.Wait()
	})
}

func TestSession_AfterFlush_OverAnUpgrade(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		p := w.last()
		p.s.Send(text("a"))
		flushed := false
		p.s.AfterFlush(func() { flushed = true })
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		s.send("5")
		s.expect(t, "4a")
		synctest.Wait()
		if !flushed {
			t.Error("not called")
		}
		if p.s.Transport() != "websocket" || !slices.Equal(p.upgraded, []string{"websocket"}) {
			t.Errorf("transport %q, upgraded %q", p.s.Transport(), p.upgraded)
		}
	})
}

func TestSession_SendVolatile(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		p := w.last()
		if p.s.SendVolatile(text("lost")) {
			t.Error("queued without a poll")
		}
		c := w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
		synctest.Wait()
		if !p.s.SendVolatile(text("first")) || p.s.SendVolatile(text("second")) {
			t.Error("of two only the first may be queued")
		}
		if r := c.wait(); r.body != "4first" {
			t.Errorf("got %q", r.body)
		}
		p.s.Send(text("regular"))
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "4regular" {
			t.Errorf("got %q", r.body)
		}
	})
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		synctest.Wait()
		// A pipe takes nothing until it is read, so the write is in flight.
		s.conn.SetReadDeadline(time.Now())
		synctest.Wait()
		p := w.last()
		if !p.s.SendVolatile(text("first"), text("of one")) || p.s.SendVolatile(text("second")) {
			t.Error("of two only the first may be queued")
		}
	})
}

func TestSession_SlowPeer_EveryTransport(t *testing.T) {
	chunk := text(strings.Repeat("x", 100_000))
	fill := func(t *testing.T, p *peer) int {
		for i := 1; ; i++ {
			if err := p.s.Send(chunk); err != nil {
				if !errors.Is(err, engineio.ErrSlow) {
					t.Fatal(err)
				}
				return i
			}
		}
	}
	check := func(t *testing.T, p *peer, n int) {
		synctest.Wait()
		reason, err := p.end()
		if reason != engineio.ReasonTransportError || !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("%q, %v", reason, err)
		}
		if n < 160 || n > 170 { // MaxBacklog
			t.Errorf("closed at message %d of 100 kB", n)
		}
		if err := p.s.Send(chunk); !errors.Is(err, engineio.ErrClosed) || !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("send after the close: %v", err)
		}
	}
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		w.open("EIO=4&transport=polling")
		check(t, w.last(), fill(t, w.last()))
	})
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.stall()
		check(t, w.last(), fill(t, w.last()))
	})
	// One message may be larger than the limit.
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		synctest.Wait() // the open packet has left also in the books of its writer
		big := strings.Repeat("x", 3<<20)
		w.last().s.Send(text(big))
		s.expect(t, "4"+big)
	})
}

func TestSession_SlowPeer_TakesNothingIsCutOff(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.stall()
		p := w.last()
		p.s.Send(text("x"))
		time.Sleep(10*time.Second - time.Millisecond)
		synctest.Wait()
		if reason, _ := p.end(); reason != "" {
			t.Fatalf("closed early: %q", reason)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if reason, _ := p.end(); reason != engineio.ReasonTransportError {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestSession_Send_FramesStayTogether(t *testing.T) {
	for _, query := range []string{"EIO=4&transport=websocket", "EIO=4&transport=polling"} {
		inWorld(t, engineio.Options{}, nil, func(w *world) {
			var s *socket
			var sid string
			if strings.HasSuffix(query, "polling") {
				sid = w.open(query)
			} else {
				s = w.websocket(query, nil)
				s.recv()
			}
			p := w.last()
			var wg sync.WaitGroup
			const senders, each = 8, 50
			for g := range senders {
				wg.Go(func() {
					for i := range each {
						head := fmt.Sprintf("%d.%d", g, i)
						if i%2 == 0 {
							p.s.Send(text(head), text(head+"+"))
						} else {
							p.s.SendMessages(engineio.Message{Data: []byte(head)}, engineio.Message{Data: []byte(head + "+")})
						}
					}
				})
			}
			wg.Wait()
			var got []string
			if s != nil {
				for range 2 * senders * each {
					got = append(got, s.recv().text)
				}
			} else {
				for len(got) < 2*senders*each {
					got = append(got, strings.Split(w.get(query+"&sid="+sid).body, "\x1e")...)
				}
			}
			last := map[string]int{}
			for i := 0; i < len(got); i += 2 {
				if got[i]+"+" != got[i+1] {
					t.Fatalf("%q is followed by %q", got[i], got[i+1])
				}
				var g string
				var n int
				g, rest, _ := strings.Cut(got[i][1:], ".")
				fmt.Sscan(rest, &n)
				if n != last[g] {
					t.Fatalf("sender %s: %d after %d", g, n, last[g])
				}
				last[g]++
			}
		})
	}
}

func TestSession_SendMessages_Copies(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		b := []byte("abc")
		w.last().s.SendMessages(engineio.Message{Data: b})
		copy(b, "xyz")
		if r := w.get("EIO=4&transport=polling&sid=" + sid); r.body != "4abc" {
			t.Errorf("got %q", r.body)
		}
	})
}

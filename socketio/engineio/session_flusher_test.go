package engineio_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"posthouse/socketio/engineio"
)

func TestSession_SendSoon_KeepsTheOrder(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		p := w.last()
		for i := range 300 {
			f := text(strconv.Itoa(i))
			switch i % 3 {
			case 0:
				p.s.SendSoon(f)
			case 1:
				p.s.Send(f)
			case 2:
				p.s.SendMessages(f.Message())
			}
		}
		for i := range 300 {
			s.expect(t, "4"+strconv.Itoa(i))
		}
	})
}

func TestSession_SendSoon_JoinsABurst(t *testing.T) {
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		c := w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
		synctest.Wait()
		p := w.last()
		// Handlers run while a POST is delivered: nothing leaves before.
		p.receive = func(engineio.Message) error {
			for i := range 3 {
				p.s.SendSoon(text(strconv.Itoa(i)))
			}
			return nil
		}
		w.post("EIO=4&transport=polling&sid="+sid, "4go")
		if r := c.wait(); r.body != "40\x1e41\x1e42" {
			t.Errorf("got %q", r.body)
		}
		p.s.Discard()
		if err := p.s.SendSoon(text("x")); !errors.Is(err, engineio.ErrClosed) {
			t.Errorf("after the close: %v", err)
		}
	})
}

func TestSession_SendSoon_SlowPeer(t *testing.T) {
	inWorld(t, engineio.Options{MaxBacklog: 1 << 20}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.stall()
		f := text(strings.Repeat("x", 100_000))
		var err error
		for range 20 {
			if err = w.last().s.SendSoon(f); err != nil {
				break
			}
		}
		if !errors.Is(err, engineio.ErrSlow) {
			t.Errorf("got %v", err)
		}
	})
}

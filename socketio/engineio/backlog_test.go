package engineio_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/internal/loglimit"
	"posthouse/socketio/engineio"
)

const megabyte = 1 << 20

// A burst beyond MaxBuffered waits for the client's next GET.
func TestSession_SlowPeer_BurstBetweenPollsIsDelivered(t *testing.T) {
	big := strings.Repeat("x", 700_000)
	for _, c := range []struct {
		name string
		send func(s *engineio.Session) error
		body string
	}{
		{"two large", func(s *engineio.Session) error {
			return errors.Join(s.Send(text(big)), s.SendMessages(engineio.Message{Data: []byte(big)}))
		}, "4" + big + "\x1e4" + big},
		{"soon", func(s *engineio.Session) error {
			return errors.Join(s.SendSoon(text(big)), s.SendMessagesSoon(engineio.Message{Data: []byte(big)}))
		}, "4" + big + "\x1e4" + big},
		{"many", func(s *engineio.Session) error {
			for range 12 {
				if err := s.Send(text(big[:100_000])); err != nil {
					return err
				}
			}
			return nil
		}, strings.TrimSuffix(strings.Repeat("4"+big[:100_000]+"\x1e", 12), "\x1e")},
	} {
		run := func(t *testing.T, w *world) {
			sid := w.open("EIO=4&transport=polling")
			for range 3 { // not once only
				if err := c.send(w.last().s); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if r := w.get("EIO=4&transport=polling&sid=" + sid); r.status != 200 || r.body != c.body {
					t.Fatalf("%s: %d, %d bytes", c.name, r.status, len(r.body))
				}
			}
			w.post("EIO=4&transport=polling&sid="+sid, "4still here")
			if reason, err := w.last().end(); reason != "" || len(w.last().messages()) != 1 {
				t.Errorf("%s: %q %v", c.name, reason, err)
			}
		}
		o := engineio.Options{HTTPCompression: &engineio.HTTPCompression{Disabled: true}}
		inWorld(t, o, nil, func(w *world) {
			run(t, w)
			time.Sleep(24 * time.Second) // the watch of the backlog is gone
			synctest.Wait()
			if reason, _ := w.last().end(); reason != "" {
				t.Errorf("%s: later: %q", c.name, reason)
			}
		})
		inServedWorld(t, o, nil, func(w *world) { run(t, w) })
	}
}

// A client that polls is slow when it fetches nothing for WriteTimeout while more
// than MaxBuffered waits, whatever it posts.
func TestSession_SlowPeer_PollingThatFetchesNothing(t *testing.T) {
	chunk := text(strings.Repeat("x", 300_000))
	const timeout = 10 * time.Second
	for _, c := range []struct {
		name   string
		chunks int
		fetch  time.Duration // when a GET comes; 0: never
		ends   time.Duration // 0: it does not
	}{
		{"below MaxBuffered", 3, 0, 0},
		{"above", 4, 0, timeout},
		{"fetched in time", 4, timeout - time.Second, 0},
	} {
		var log bytes.Buffer
		o := engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		inWorld(t, o, nil, func(w *world) {
			sid := w.open("EIO=4&transport=polling")
			p := w.last()
			for range c.chunks {
				if err := p.s.Send(chunk); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
			begin := time.Now()
			for time.Since(begin) < 24*time.Second && !p.ended() {
				if c.fetch > 0 && time.Since(begin) == c.fetch {
					w.get("EIO=4&transport=polling&sid=" + sid)
				}
				w.post("EIO=4&transport=polling&sid="+sid, "3")
				time.Sleep(time.Second)
				synctest.Wait()
			}
			reason, err := p.end()
			switch {
			case c.ends == 0:
				if reason != "" {
					t.Errorf("%s: closed: %q %v", c.name, reason, err)
				}
				return
			case reason != engineio.ReasonTransportError || !errors.Is(err, engineio.ErrSlow):
				t.Errorf("%s: %q %v", c.name, reason, err)
			case time.Since(begin) != c.ends:
				t.Errorf("%s: closed after %v", c.name, time.Since(begin))
			}
			if err := p.s.Send(chunk); !errors.Is(err, engineio.ErrSlow) {
				t.Errorf("%s: send: %v", c.name, err)
			}
			if n := strings.Count(log.String(), "Options.MaxBuffered"); n != 1 {
				t.Errorf("%s: %d lines name the option:\n%s", c.name, n, log.String())
			}
		})
	}
}

// A client that fetches a little now and then is not slow before MaxBacklog.
func TestSession_SlowPeer_HardLimitWhateverIsTaken(t *testing.T) {
	chunk := text(strings.Repeat("x", 400_000))
	inWorld(t, engineio.Options{MaxBacklog: 4 * megabyte}, nil, func(w *world) {
		s := w.websocket("EIO=4&transport=websocket", nil)
		s.recv()
		s.stall()
		sent := 0
		for {
			if err := w.last().s.Send(chunk); err != nil {
				if !errors.Is(err, engineio.ErrSlow) {
					t.Error(err)
				}
				break
			}
			sent++
		}
		if sent != 10 {
			t.Errorf("%d messages of 400 kB were taken before 4 MiB were full", sent)
		}
	})
}

// The backlogs of all sessions together are bounded. When that is used up, no
// session may keep more than MaxBuffered, and it is free again when they are.
func TestSession_SlowPeer_BacklogsOfAllSessionsAreBounded(t *testing.T) {
	chunk := text(strings.Repeat("x", megabyte))
	inWorld(t, engineio.Options{MaxBacklog: 4 * megabyte}, nil, func(w *world) {
		var all []*peer
		kept, slow := 0, 0
		for range 40 {
			w.open("EIO=4&transport=polling")
			p := w.last()
			all = append(all, p)
			for range 3 {
				err := p.s.Send(chunk)
				switch {
				case err == nil:
					kept++
				case errors.Is(err, engineio.ErrSlow):
					kept -= 1 // what it had is gone
					slow++
				}
				if err != nil {
					break
				}
			}
		}
		// 16 × 4 MiB above MaxBuffered, in steps of 2 MiB a session.
		if slow == 0 || kept > 40+16*4+3 {
			t.Errorf("%d MiB are kept, %d sessions were closed", kept, slow)
		}
		for _, p := range all {
			p.s.Discard()
		}
		w.open("EIO=4&transport=polling")
		for range 3 {
			if err := w.last().s.Send(chunk); err != nil {
				t.Errorf("after the others have ended: %v", err)
			}
		}
	})
}

// One line in an interval tells of all sessions.
func TestSession_SlowPeer_IsLoggedOncePerInterval(t *testing.T) {
	var log bytes.Buffer
	o := engineio.Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), MaxBacklog: megabyte}
	inWorld(t, o, nil, func(w *world) {
		closeSlow := func(n int) {
			for range n {
				w.open("EIO=4&transport=polling")
				w.last().s.Send(text(strings.Repeat("x", megabyte)))
				if err := w.last().s.Send(text("x")); !errors.Is(err, engineio.ErrSlow) {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		closeSlow(5)
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "Options.MaxBacklog") {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		time.Sleep(loglimit.Interval)
		closeSlow(1)
		if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), "left_out=4") {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		if strings.Contains(log.String(), w.last().s.ID()) {
			t.Error("the log has a session id")
		}
	})
}

// Messages that an upgrade takes over wait by the rule of streams.
func TestSession_SlowPeer_BacklogMovesWithAnUpgrade(t *testing.T) {
	big := strings.Repeat("x", 700_000)
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		sid := w.open("EIO=4&transport=polling")
		p := w.last()
		s := w.websocket("EIO=4&transport=websocket&sid="+sid, nil)
		s.send("2probe")
		s.expect(t, "3probe")
		for range 3 {
			p.s.Send(text(big))
		}
		time.Sleep(9 * time.Second)
		s.send("5")
		s.expect(t, "4"+big, "4"+big, "4"+big)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if reason, err := p.end(); reason != "" {
			t.Errorf("closed: %q %v", reason, err)
		}
	})
}

// A peer that takes something within every WriteTimeout is not slow, also where
// the writes block: behind TLS, and where a goroutine reads plain TCP.
func TestSession_SlowPeer_SlowIsNotStalled(t *testing.T) {
	const timeout = 300 * time.Millisecond
	o := engineio.Options{WriteTimeout: timeout, MaxBacklog: 64 * megabyte}
	overTCP(t, o, nil, func(t *testing.T, w *tcp) { slowReader(t, w.dial(), w.peers, timeout) })
	t.Run("TLS", func(t *testing.T) {
		w := &tcp{t: t, peers: make(chan *peer, 1)}
		slowReader(t, serveTLS(t, w, o), w.peers, timeout)
	})
}

// slowReader reads 3 MiB in pieces that take longer than timeout together.
func slowReader(t *testing.T, c net.Conn, peers chan *peer, timeout time.Duration) {
	c.Write([]byte("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n" + upgradeHead + "\r\n"))
	p := <-peers
	const size = 12 * megabyte // more than the buffers of the kernel
	p.s.Send(text(strings.Repeat("z", size)))
	buf := make([]byte, 512<<10)
	tick := time.NewTicker(timeout / 10)
	defer tick.Stop()
	for read := 0; read < size; <-tick.C {
		n, err := io.ReadFull(c, buf[:min(len(buf), size-read)])
		read += n
		if err != nil {
			reason, end := p.end()
			t.Fatalf("after %d bytes: %v; closed %q, %v", read, err, reason, end)
		}
	}
}

// serveTLS serves w behind TLS and returns a connection to it.
func serveTLS(t *testing.T, w *tcp, o engineio.Options) net.Conn {
	t.Helper()
	o.Accept = func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
		p := &peer{s: s}
		w.peers <- p
		return p, nil
	}
	srv := engineio.NewServer(&o)
	ts := newTLSServer(t, srv)
	c, err := tls.Dial("tcp", ts.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

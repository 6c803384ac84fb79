package engineio_test

import (
	"bufio"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"posthouse/socketio/engineio"
)

// onCores runs the rest of a test as on a machine with n cores.
func onCores(tb testing.TB, n int) {
	before := runtime.GOMAXPROCS(n)
	tb.Cleanup(func() { runtime.GOMAXPROCS(before) })
}

// pollBody opens a session and returns it with the answer of a GET that waits.
func pollBody(w *world) (p *peer, wait func() string) {
	sid := w.open("EIO=4&transport=polling")
	c := w.start("GET", "EIO=4&transport=polling&sid="+sid, nil, "")
	synctest.Wait()
	return w.last(), func() string { return c.wait().body }
}

func TestBurst_MessagesOfBurstsThatOverlap_LeaveInOneWrite(t *testing.T) {
	onCores(t, 4)
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		p, wait := pollBody(w)
		first := w.server.NewBurst()
		first.Send(p.s, text("0"))
		second := w.server.NewBurst()
		second.Send(p.s, text("1"))
		second.End()
		synctest.Wait() // whatever may be written is
		p.s.SendSoon(text("2"))
		synctest.Wait()
		first.Send(p.s, text("3"))
		first.End()
		if got := wait(); got != "40\x1e41\x1e42\x1e43" {
			t.Errorf("got %q", got)
		}
	})
}

// A burst that lasts holds nothing up for longer than 5 ms.
func TestBurst_ThatDoesNotEnd_HoldsUpWritesForABoundedTime(t *testing.T) {
	onCores(t, 4)
	inWorld(t, engineio.Options{}, nil, func(w *world) {
		endless := w.server.NewBurst()
		defer endless.End()
		for range 3 {
			p, wait := pollBody(w)
			begin := time.Now()
			p.s.SendSoon(text("x"))
			if got := wait(); got != "4x" || time.Since(begin) > 10*time.Millisecond {
				t.Errorf("%q after %v", got, time.Since(begin))
			}
		}
	})
}

func TestBurst_ManySendersOnFourCores_KeepsTheOrderOfEachSession(t *testing.T) {
	onCores(t, 4)
	const members, senders, messages = 100, 8, 50
	var mu sync.Mutex
	var all []*engineio.Session
	srv, addr, stop := burstServer(t, func(s *engineio.Session) { mu.Lock(); all = append(all, s); mu.Unlock() })
	defer stop()
	conns := make([]*bufio.Reader, members)
	for i := range conns {
		conn, br := rawWebSocket(t, addr)
		defer conn.Close()
		conns[i] = br
	}
	var work sync.WaitGroup
	for sender := range senders {
		work.Go(func() {
			for i := range messages {
				f := text(fmt.Sprintf("%d %d", sender, i))
				if i%7 == 3 { // the other ways to send keep the order too
					for _, s := range all {
						s.Send(f)
					}
					continue
				}
				b := srv.NewBurst()
				for _, s := range all {
					if err := b.Send(s, f); err != nil {
						t.Error(err)
					}
				}
				b.End()
			}
		})
	}
	for _, br := range conns {
		work.Go(func() {
			var next [senders]int
			for range senders * messages {
				var sender, number int
				if _, err := fmt.Sscanf(readText(t, br), "4%d %d", &sender, &number); err != nil || number != next[sender] {
					t.Errorf("message %d of sender %d came in place of %d (%v)", number, sender, next[sender], err)
					return
				}
				next[sender]++
			}
		})
	}
	work.Wait()
}

// The workers of the flusher end with their work, so that Shutdown has nothing to wait for.
func TestBurst_ShutdownDuringBursts_LeavesNoGoroutine(t *testing.T) {
	onCores(t, 4)
	const members = 200
	var mu sync.Mutex
	var all []*engineio.Session
	srv, addr, stop := burstServer(t, func(s *engineio.Session) { mu.Lock(); all = append(all, s); mu.Unlock() })
	for range members {
		conn, br := rawWebSocket(t, addr)
		defer conn.Close()
		go io.Copy(io.Discard, br) // ends with conn
	}
	var senders sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		senders.Go(func() {
			f := text("x")
			for open := len(all); open > 0; {
				open = 0
				b := srv.NewBurst()
				for _, s := range all {
					if b.Send(s, f) == nil {
						open++
					}
				}
				b.End()
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	<-begun
	stop() // fails unless the server ends; TestMain looks for goroutines
	senders.Wait()
	if n := engineio.FlusherWorkers(srv); n != 0 {
		t.Errorf("%d workers after the end", n)
	}
}

// burstServer serves WebSockets over TCP.
func burstServer(tb testing.TB, opened func(*engineio.Session)) (srv *engineio.Server, addr string, stop func()) {
	var o engineio.Options
	rd := reading{serve: true}
	rd.made = func(s *engineio.Server) { srv = s }
	addr, stop = startTCP(tb, rd, o, func(p *peer) { opened(p.s) })
	return srv, addr, stop
}

// readText returns the next message, shorter than 126 bytes.
func readText(t *testing.T, br *bufio.Reader) string {
	var head [2]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		t.Error(err)
		return ""
	}
	body := make([]byte, head[1])
	if _, err := io.ReadFull(br, body); err != nil {
		t.Error(err)
	}
	return string(body)
}

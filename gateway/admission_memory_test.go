package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAdmission_MemoryAboveItsShare_OnlyNewSocketsAreRefused(t *testing.T) {
	var lines bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&lines, nil)))
	defer slog.SetDefault(before)
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *Config) { c.LimitMemory = Percent{N: 85} })
		share := 0.0
		d.memory.share = func() float64 { return share }
		for _, c := range []struct {
			share  float64
			socket int // status
		}{{.5, 200}, {.849, 200}, {.85, 503}, {1.2, 503}, {.84, 200}} {
			share = c.share
			time.Sleep(memoryLookEvery)
			w := d.refusal(nil)
			if w.Code != c.socket || w.Code == 503 && (w.Header().Get("Retry-After") != "5" || w.Header().Get("Connection") != "close") {
				t.Errorf("%v of the memory: handshake %d %v, want %d", c.share, w.Code, w.Header(), c.socket)
			}
			if existing := d.refusal(func(r *http.Request) { r.URL.RawQuery += "&sid=x" }); existing.Code != 200 {
				t.Errorf("%v of the memory: request of a session %d", c.share, existing.Code)
			}
			if status, _ := d.AdmitConn(netip.MustParseAddrPort("192.0.2.9:1")); status != 0 {
				t.Errorf("%v of the memory: connection %d: pushes and health checks need theirs", c.share, status)
			}
		}
		share = 2
		time.Sleep(memoryLookEvery)
		d.setNodeLimits(&Config{LimitMemory: Percent{Off: true}})
		if w := d.refusal(nil); w.Code != 200 {
			t.Errorf("the limit is off: %d", w.Code)
		}
		if n := d.metrics.refusals.refusedBy("memory"); n != 2 {
			t.Errorf("%d refusals were counted", n)
		}
	})
	if n := strings.Count(lines.String(), "reason=memory"); n != 1 || !strings.Contains(lines.String(), "POSTHOUSE_LIMIT_MEMORY") {
		t.Errorf("%d lines: %s", n, lines.String())
	}
}

// A flood of handshakes reads the memory ten times a second, near the limit a hundred times, and
// not for each of them.
func TestMemoryUse_IsScarce_ReadsOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads, share := 0, 0.
		m := &memoryUse{since: time.Now(), share: func() float64 { reads++; return share }, fullSignal: make(chan struct{}, 1)}
		m.percent.Store(80)
		for _, c := range []struct {
			share  float64
			scarce bool
			reads  int // in a second
		}{{.59, false, 10}, {.61, false, 100}, {1, true, 100}} {
			share, reads = c.share, 0
			time.Sleep(memoryLookEvery)
			for range 1000 {
				if m.isScarce() != c.scarce {
					t.Fatalf("%v of the memory, 80 %% allowed: scarce is %v", share, !c.scarce)
				}
				time.Sleep(time.Millisecond)
			}
			if reads != c.reads {
				t.Errorf("%v of the memory: %d reads in a second, want %d", share, reads, c.reads)
			}
		}
		m.percent.Store(0)
		time.Sleep(memoryLookEvery)
		if m.isScarce() || reads != 100 {
			t.Errorf("switched off it is read, %d times", reads)
		}
		if (*memoryUse)(nil).isScarce() || (&memoryUse{}).isScarce() || (*memoryUse)(nil).currentShare() != 0 {
			t.Error("a process without a limit has little memory")
		}
	})
}

// Where no connection is let in nothing is allocated, and the collector has no reason to run:
// a memory full of garbage would stay full.
func TestMemoryUse_FullOfGarbage_IsCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memoryUse{since: time.Now(), share: func() float64 { return 1 }, fullSignal: make(chan struct{}, 1)}
		m.percent.Store(85)
		ctx, stop := context.WithCancel(t.Context())
		over := make(chan struct{})
		go func() { defer close(over); m.collectGarbage(ctx) }()
		collections := func() (n uint32) {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return s.NumForcedGC
		}
		before := collections()
		for range 1000 { // a flood for a second
			m.isScarce()
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if n := collections() - before; n < 1 || n > 2 {
			t.Errorf("%d collections in a second", n)
		}
		stop()
		<-over
	})
}

// GOMEMLIMIT alone is a limit too: 80 % of what the process may use.
func TestMemoryUse_GOMEMLIMIT(t *testing.T) {
	before := debug.SetMemoryLimit(64 << 30)
	defer debug.SetMemoryLimit(before)
	m := newMemoryUse()
	if m.share == nil {
		t.Fatal("GOMEMLIMIT is no limit")
	}
	if s := heapShare(64 << 30); s <= 0 || s > .1 {
		t.Errorf("%v of 80 GiB in use", s)
	}
	if s := heapShare(1 << 10); s < 1 {
		t.Errorf("%v of a kilobyte in use", s)
	}
	if s := m.currentShare(); s < heapShare(64<<30)/2 {
		t.Errorf("the share is %v", s)
	}
}

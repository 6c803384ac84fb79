package gateway

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	goruntime "runtime/metrics"
	"sync/atomic"
	"time"

	"posthouse/internal/cgroup"
	"posthouse/internal/sleep"
)

// memoryUse tells how full the memory is that the process may use: new connections stop
// before the kernel ends the process and all connections with it (docs/reliability.md §3
// row F23). Safe for concurrent use.
type memoryUse struct {
	share   func() float64 // 1 is the limit; nil: the process has no limit
	since   time.Time
	percent atomic.Int64 // of the limit that new connections stop at; 0: off
	lookAt  atomic.Int64 // when share is read next, as a duration after since
	isFull  atomic.Bool  // what share said last

	fullSignal chan struct{} // capacity 1: share was above the limit
}

// How old the answer of isScarce may be. Without a limit of handshakes two cores open more than
// 20 000 sessions a second, about 35 MB: near the limit a hundred milliseconds are too long, and
// a look, which takes about 30 µs, is cheap enough for one every ten.
const (
	memoryLookEvery     = 100 * time.Millisecond
	memoryLookEveryNear = 10 * time.Millisecond
	// nearPercent is the part of the limit from which on memoryLookEveryNear holds.
	nearPercent = 75
)

// newMemoryUse finds the limit of the process: that of its cgroup, or GOMEMLIMIT.
func newMemoryUse() *memoryUse {
	m := &memoryUse{since: time.Now(), fullSignal: make(chan struct{}, 1)}
	group := cgroup.ReadMemory(os.DirFS("/"))
	heapLimit := debug.SetMemoryLimit(-1) // a negative one only asks
	if group.Limit() > 0 || heapLimit < math.MaxInt64 {
		m.share = func() float64 { return max(group.Share(), heapShare(heapLimit)) }
	}
	return m
}

// heapShare is what Go's memory is of the limit that a GOMEMLIMIT stands for: it is 80 % of
// it, as where the cgroup decides. The collector keeps to GOMEMLIMIT as long as it can, so
// that a larger share is memory in use.
func heapShare(heapLimit int64) float64 {
	if heapLimit <= 0 || heapLimit == math.MaxInt64 {
		return 0
	}
	s := []goruntime.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	goruntime.Read(s)
	return float64(s[0].Value.Uint64()-s[1].Value.Uint64()) / (float64(heapLimit) / 0.8)
}

// isScarce reports whether the memory in use is above the limit. It reads that anew at most
// every memoryLookEvery, and near the limit more often, in the goroutine of one caller.
func (m *memoryUse) isScarce() bool {
	if m == nil || m.share == nil {
		return false
	}
	percent := m.percent.Load()
	if percent == 0 {
		return false
	}
	now, at := int64(time.Since(m.since)), m.lookAt.Load()
	if now >= at && m.lookAt.CompareAndSwap(at, now+int64(memoryLookEvery)) {
		used, limit := m.share()*100, float64(percent)
		isFull := used >= limit
		m.isFull.Store(isFull)
		if used*100 >= limit*nearPercent {
			m.lookAt.Store(now + int64(memoryLookEveryNear))
		}
		if isFull {
			select {
			case m.fullSignal <- struct{}{}:
			default:
			}
		}
	}
	return m.isFull.Load()
}

// collectGarbage collects when the memory is full, until ctx ends. What ended connections
// have left fills it as well, and where no new ones are let in nothing is allocated that
// would make the collector run. It takes a twentieth of the time at most.
func (m *memoryUse) collectGarbage(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.fullSignal:
		}
		began := time.Now()
		debug.FreeOSMemory()
		if sleep.For(ctx, max(time.Second, 20*time.Since(began))) != nil {
			return
		}
	}
}

// currentShare is the share in use; 0 where the process has no limit.
func (m *memoryUse) currentShare() float64 {
	if m == nil || m.share == nil {
		return 0
	}
	return m.share()
}

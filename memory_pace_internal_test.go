package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"posthouse/internal/testenv"
)

func TestPaceCollector_SmallHeapsAreCollectedSeldom(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("SKIPPED: GOGC is set")
	}
	pace := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	defer debug.SetGCPercent(usualPercent)
	paceCollector()
	testenv.Until(t, 10*time.Second, "a small heap to have room", func() bool { runtime.GC(); return pace() > usualPercent })
	large := make([]byte, 2*youngHeap)
	testenv.Until(t, 10*time.Second, "Go's own pace with a large one", func() bool { runtime.GC(); return pace() == usualPercent })
	runtime.KeepAlive(large)
	testenv.Until(t, 10*time.Second, "room again", func() bool { runtime.GC(); return pace() > usualPercent })
}

func TestPercentFor_AddsAtMostTheYoungHeap(t *testing.T) {
	for live, want := range map[uint64]int{0: 1000, 1 << 20: 1000, 4 << 20: 800, 16 << 20: 200, 32 << 20: 100, 1 << 30: 100} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d %%, want %d %%", live, got, want)
		}
	}
}

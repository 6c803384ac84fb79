package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// youngHeap is how much is allocated between two collections at least. A gateway with few
	// connections has a heap of some 5 MB, and at Go's pace one that is busy with the HTTP API
	// collects it so often that this takes a tenth of its CPU time.
	youngHeap = 32 << 20
	// usualPercent is Go's own pace: as much as is in use is allocated between two collections.
	usualPercent = 100
	mostPercent  = 1000
)

// paceCollector lets a small heap grow by youngHeap between two collections; the pace of one
// above it is Go's own. GOGC wins, and GOMEMLIMIT bounds the heap as ever.
func paceCollector() {
	if os.Getenv("GOGC") == "" {
		afterCollection(&collectorPace{percent: usualPercent})
	}
}

// collectorPace is the pace that was set last.
type collectorPace struct{ percent int }

// afterCollection adjusts the pace at the end of each collection: it is then that the runtime
// finds an object without references.
func afterCollection(p *collectorPace) {
	// A smaller object shares its memory with others, and lives as long as the last of them.
	unused := new([64]byte)
	runtime.AddCleanup(unused, func(p *collectorPace) {
		p.adjust()
		afterCollection(p)
	}, p)
}

func (p *collectorPace) adjust() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := percentFor(live[0].Value.Uint64())
	if percent == p.percent || percent != usualPercent && 8*max(percent-p.percent, p.percent-percent) < p.percent {
		return // each change stops the program for a moment
	}
	p.percent = percent
	debug.SetGCPercent(percent)
}

// percentFor is the pace for a heap of which live bytes are in use.
func percentFor(live uint64) int {
	return int(min(max(youngHeap*100/max(live, 1), usualPercent), mostPercent))
}

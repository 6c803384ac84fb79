package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Latency returns the scenario of the open-loop generator.
func Latency() []Scenario {
	return []Scenario{{Name: "latency", Servers: 1, Bare: true, Run: latency}}
}

// latencyLevels are the parts of a server's capacity at which it is measured, in percent.
var latencyLevels = []int{20, 50, 80}

// latencyConnections share the load.
const latencyConnections = 200

// latency measures a server's capacity, and then how long echoes take while it gets a part
// of that: from the moment at which each was due, whatever happened to those before it. Server
// and generator go before what else the machine has to do, which would take their cores for
// some milliseconds now and then and decide about the highest percentiles.
func latency(ctx context.Context, l Load, targets []*Target) ([]Metric, error) {
	l = l.withDefaults()
	conns, err := dialAll(ctx, targets[0].Addr, latencyConnections, nil)
	if err != nil {
		return nil, err
	}
	line, err := newOpenLine(conns)
	if err != nil {
		closeAll(conns)
		return nil, err
	}
	defer line.close()
	if err := GoFirst(targets[0].PID, 1); err != nil {
		return nil, err
	}
	g := openLoad{line: line, target: targets[0]}

	perEvent, err := g.capacity(ctx, l.Duration)
	if err != nil {
		return nil, err
	}
	all := []Metric{{Name: "CPU at capacity", Unit: "µs", Value: perEvent * 1e6}}
	for _, level := range latencyLevels {
		gc, gcErr := gcTime(ctx, targets[0].Addr)
		run, busy, err := g.run(ctx, float64(level)/100/perEvent, l.Duration)
		if err != nil {
			return all, err
		}
		if run.lost > 0 {
			return all, fmt.Errorf("load: %d events had no answer", run.lost)
		}
		for _, p := range []float64{50, 99, 99.9} {
			all = append(all, Metric{Name: fmt.Sprintf("p%g at %d %%", p, level), Unit: "µs", Value: micros(percentile(run.latencies, p))})
		}
		all = append(all, Metric{Name: fmt.Sprintf("late p99 at %d %%", level), Unit: "µs", Value: micros(percentile(run.late, 99))})
		if after, err := gcTime(ctx, targets[0].Addr); gcErr == nil && err == nil && busy > 0 {
			all = append(all, Metric{Name: fmt.Sprintf("GC at %d %%", level), Unit: "%", Value: 100 * max((after-gc).Seconds()/busy.Seconds(), Nothing)})
		}
	}
	return all, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// openLoad runs the generator against one server.
type openLoad struct {
	line   *openLine
	target *Target
	seed   uint64
}

// capacity finds the seconds of CPU that an event takes when the core is nearly full: the
// capacity of a core is one divided by that. What an event costs depends on the rate, so the
// second measurement is made at seven tenths of what the first one says.
func (g *openLoad) capacity(ctx context.Context, d time.Duration) (perEvent float64, err error) {
	rate := 4000.0
	for range 3 {
		d := max(d/2, 200*time.Millisecond)
		run, busy, err := g.run(ctx, rate, d)
		if err != nil {
			return 0, err
		}
		if run.lost > 0 || busy <= 0 {
			return 0, errors.New("load: the server does not keep up with a part of its capacity")
		}
		perEvent = busy.Seconds() / (rate * d.Seconds())
		rate = 0.7 / perEvent
	}
	return perEvent, nil
}

// run sends events of that rate, and returns what it measured with the CPU time that the
// server took. The thread is the generator's own, and no garbage is collected meanwhile.
func (g *openLoad) run(ctx context.Context, rate float64, d time.Duration) (run openRun, busy time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return run, 0, err
	}
	g.seed++
	due := arrivals(rate, d, g.seed)
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// No real-time priority: the kernel takes the core from one that never rests.
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -20); err != nil {
		return run, 0, fmt.Errorf("load: priority of the generator: %w", err)
	}
	defer unix.Setpriority(unix.PRIO_PROCESS, 0, 0) //nolint:errcheck // less is always allowed
	start := time.Now()
	clock := func() time.Duration { return time.Since(start) }
	cpu := cpuOf([]*Target{g.target})
	g.line.prepare(len(due), g.seed, clock)
	run, err = runOpen(due, clock, g.line)
	return run, cpuOf([]*Target{g.target}) - cpu, err
}

// gcTime is what the server has spent in its garbage collector, if it tells.
func gcTime(ctx context.Context, addr string) (time.Duration, error) {
	s, err := once(ctx, addr, http.MethodGet, "/bench/gc")
	if err != nil {
		return 0, err
	}
	seconds, err := strconv.ParseFloat(s, 64)
	return time.Duration(seconds * float64(time.Second)), err
}

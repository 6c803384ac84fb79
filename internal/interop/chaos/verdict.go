package main

import (
	"bufio"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// lateAfter is when a login without a token or a clear end counts as lost, after the fault.
const lateAfter = 15 * time.Second

// judge holds what the ledger saw against the invariants of every row: no token at a wrong
// socket, one token id for a ticket, nothing lost, and sizes that return to what they were.
func (s *stage) judge() {
	s.Helper()
	t := s.settle(lateAfter)
	if t.shown > 0 {
		s.figure("logins: %d shown, %d pushes accepted, %d signed in, %d ended honestly %v, %d lost; token p50 %v p99 %v after the push",
			t.shown, t.accepted, t.signedIn, t.honest, t.ends, t.lost, round(at(t.late, .5)), round(at(t.late, .99)))
		if t.unanswered > 0 {
			s.figure("pushes without `success`: %d", t.unanswered)
		}
		s.ledger.note(func() {
			if len(s.ledger.refused) > 0 {
				s.figure("answers that asked to try again: %v", s.ledger.refused)
			}
		})
	}
	s.must(t.lost == 0, "%d logins were lost: `success` was answered, no token and no end came", t.lost)
	for _, fault := range t.faults[:min(len(t.faults), 5)] {
		s.must(false, "%s", fault)
	}
	if s.cluster == nil {
		return
	}
	for _, p := range s.cluster.Started {
		for _, word := range []string{"panic:", "DATA RACE", `"msg":"panic`, "fatal error:"} {
			s.must(!strings.Contains(p.Output(), word), "a replica says %q", word)
		}
	}
	if !s.Failed() { // else the row is red already
		s.returnToBaseline()
	}
}

// sizes are what must return to its size.
type sizes struct {
	goroutines, descriptors, connections float64
	accepted                             float64 // connections among the descriptors that are the load's
	memory, heap                         float64
}

// allowance is what may be open beside what was: idle connections that are kept.
const allowance = 40

// returnToBaseline closes the pages and waits until the replicas are as they were.
func (s *stage) returnToBaseline() {
	s.Helper()
	s.each(s.tabs, 64, (*tab).close)
	s.http.CloseIdleConnections()
	s.cluster.Simulator.Kill() // with the idle connections that it and the balancer keep
	if s.balancer != nil {
		_ = s.balancer.Stop(5 * time.Second) // its workers end with it
	}
	now, kept := make([]sizes, len(s.cluster.Bases)), s.pooled()
	took, ok := s.until(60*time.Second, func() bool {
		for i := range now {
			now[i] = s.sizes(i)
			if now[i].connections != 0 || now[i].goroutines > s.idle[i].goroutines+allowance || now[i].descriptors-kept > s.idle[i].descriptors+allowance {
				return false
			}
		}
		return true
	})
	if ok {
		s.figure("sizes were back to those before after %v", round(took))
	}
	for i := range now {
		s.must(ok, "after %v replica %d has %.0f connections, %.0f goroutines (%.0f before), %.0f descriptors (%.0f before)", round(took), i+1,
			now[i].connections, now[i].goroutines, s.idle[i].goroutines, now[i].descriptors, s.idle[i].descriptors)
	}
}

// pooled is how many connections the replica that has the most of them keeps to the servers of a
// Redis of several, as these count them: a pool for each. One Redis alone has a pool below the
// allowance.
func (s *stage) pooled() (most float64) {
	byName := map[string]float64{} // each replica names its connections
	for _, addr := range s.pools {
		for line := range strings.Lines(askRedis(s, addr, "CLIENT", "LIST")) {
			_, rest, _ := strings.Cut(line, " name=")
			name, _, _ := strings.Cut(rest, " ")
			if name != "" {
				byName[name]++
				most = max(most, byName[name])
			}
		}
	}
	if len(s.pools) > 0 {
		bound := float64(len(s.pools)*poolSize() + subscriptions)
		s.figure("a replica keeps at most %.0f connections to the %d servers of its Redis", most, len(s.pools))
		s.must(most > 0 && most <= bound, "a replica keeps %.0f connections to the servers of its Redis: more than its pools hold (%.0f)", most, bound)
	}
	return most
}

// subscriptions bounds the connections of a replica that are in no pool.
const subscriptions = 10

// poolSize is that of go-redis: for each server ten connections a processor.
func poolSize() int { return 10 * runtime.GOMAXPROCS(0) }

// sizes reads the metrics of a replica; a replica that does not answer has none.
func (s *stage) sizes(replica int) sizes {
	m := s.metrics(replica)
	return sizes{accepted: established(s.cluster.Bases[replica]), goroutines: m["go_goroutines"], descriptors: m["process_open_fds"], connections: m["posthouse_connections"], memory: m["process_resident_memory_bytes"], heap: m["go_memstats_heap_inuse_bytes"]}
}

// metrics are the samples of a replica, by their names with labels; none when it does not answer.
func (s *stage) metrics(replica int) map[string]float64 {
	samples := map[string]float64{}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(s.cluster.Metrics[replica] + "/metrics")
	if err != nil {
		return samples
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		if name, value, ok := cutLast(lines.Text(), " "); ok && !strings.HasPrefix(name, "#") {
			samples[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	if lines.Err() != nil {
		return map[string]float64{} // half of the metrics: the other half would count as zeros
	}
	return samples
}

// sum adds up the samples of all replicas whose names begin with prefix.
func (s *stage) sum(prefix string) (total float64) {
	for i := range s.cluster.Metrics {
		samples := s.metrics(i)
		for _, name := range slices.Sorted(maps.Keys(samples)) {
			if strings.HasPrefix(name, prefix) {
				total += samples[name]
			}
		}
	}
	return total
}

func cutLast(text, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }

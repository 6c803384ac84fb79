package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// littleMemory is docs/reliability.md §3 row F23: the memory of a cgroup fills up with sessions that are opened and
// left alone.
func littleMemory(s *stage) {
	const limit = 100 << 20
	group := filepath.Join("/sys/fs/cgroup/memory", "posthouse-chaos-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		s.Skipf("no memory cgroup (version 1) can be made here: %v", err)
	}
	s.Cleanup(func() { // the process that was in it has ended, or is about to
		s.until(5*time.Second, func() bool { return os.Remove(group) == nil })
	})
	if err := os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), []byte(strconv.Itoa(limit)), 0o600); err != nil {
		s.Skipf("the cgroup takes no limit: %v", err)
	}
	base, p, metrics := s.wrapped(fmt.Sprintf("echo $$ > %s/cgroup.procs", group))
	tabs := s.openAt(base, s.logins)
	heapLimit := metrics()["go_gc_gomemlimit_bytes"]

	var opened, refused, patient atomic.Int64
	began := time.Now()
	var flood sync.WaitGroup
	for range 8 {
		flood.Go(func() {
			for refused.Load() < 200 && time.Since(began) < s.slack(60*time.Second) {
				switch a, err := s.send(base, attack{path: polling}); {
				case err != nil:
					return // the process has gone: seen below
				case a.status == http.StatusOK:
					opened.Add(1)
				case a.status == http.StatusServiceUnavailable:
					refused.Add(1)
					if a.header.Get("Retry-After") != "" {
						patient.Add(1)
					}
				}
			}
		})
	}
	flood.Wait()
	full := time.Since(began)
	m := metrics()
	fullest := m["posthouse_memory_share"]
	s.figure("GOMEMLIMIT %.0f MB of %d; refused after %d handshakes in %v, at %.0f %% of the memory, %.0f MB resident", heapLimit/(1<<20), limit>>20,
		opened.Load(), round(full), fullest*100, m["process_resident_memory_bytes"]/(1<<20))
	s.must(heapLimit > 0 && heapLimit <= limit/100*81, "GOMEMLIMIT is %.0f MB", heapLimit/(1<<20))
	s.must(refused.Load() >= 200 && patient.Load() == refused.Load(), "%d handshakes were refused, %d with Retry-After, after %d", refused.Load(), patient.Load(), opened.Load())
	s.must(m[`posthouse_refused_total{limit="memory"}`] > 0, "nothing was refused for the memory")
	s.must(containsAll(p.Output(), `"reason":"memory"`, "POSTHOUSE_LIMIT_MEMORY"), "the log has no line for the operator")
	s.scan(tabs)
	status, _, took := s.get(base + "/healthz")
	s.must(status == 200, "/healthz: %d after %v", status, round(took))
	again, ok := s.until(s.slack(60*time.Second), func() bool {
		a, err := s.send(base, attack{path: polling})
		return err == nil && a.status == http.StatusOK
	})
	s.must(ok, "it takes no connection after %v", round(again))
	s.settle(lateAfter)
	oom, _ := os.ReadFile(filepath.Join(group, "memory.oom_control"))
	failures, _ := os.ReadFile(filepath.Join(group, "memory.failcnt"))
	s.figure("/healthz after %v, a new connection after %v; %s; the limit was met %s times", round(took), round(again), singleLine(oom), singleLine(failures))
	s.must(!containsAll(string(oom), "under_oom 1") && (containsAll(string(oom), "oom_kill 0") || !containsAll(string(oom), "oom_kill ")), "the kernel killed: %s", singleLine(oom))
}

// singleLine is the text of a small file of the kernel on one line.
func singleLine(text []byte) string { return strings.Join(strings.Fields(string(text)), " ") }

package hook_test

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"testing"
	"time"

	"posthouse/internal/load"
	"posthouse/socketio"
	"posthouse/socketio/hook"
	"posthouse/socketio/sockettest"
)

// BenchmarkHook_Event is an event through a hook and its acknowledgement back, beside a
// bare HTTP round trip with a body of that size to the same back end. The CPU time on top
// is that of everything between client and hook: parsing, signing, dispatch, the answer.
func BenchmarkHook_Event(b *testing.B) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ack":[{"ok":true}]}`)
	}))
	defer backend.Close()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	plain := &http.Client{Transport: transport}
	body := bytes.Repeat([]byte("x"), 350)
	bare := func() {
		w, err := plain.Post(backend.URL, "application/json", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, w.Body)
		_ = w.Body.Close()
	}
	client, err := hook.New(&hook.Options{URL: backend.URL, Secrets: secrets, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	srv := sockettest.NewServer(b, &socketio.Options{Limits: socketio.Limits{EventsPerSecond: -1}})
	client.Attach(srv.Of("/app"))
	c := srv.Connect("/app", nil)
	hooked := func() { c.Call("say", "hello", 7) }

	// The two take turns, so that a machine that is slow for a while is slow for both.
	var times [2][]float64
	var cpu [2]time.Duration
	for b.Loop() {
		for i, do := range []func(){bare, hooked} {
			used := processCPU()
			for range 20 {
				begin := time.Now()
				do()
				times[i] = append(times[i], float64(time.Since(begin).Nanoseconds()))
			}
			cpu[i] += processCPU() - used
		}
	}
	for i := range times {
		slices.Sort(times[i])
	}
	p50 := func(i int) float64 { return times[i][len(times[i])/2] }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p50(0)/1e3, "bare-p50-µs")
	b.ReportMetric(p50(1)/1e3, "hook-p50-µs")
	b.ReportMetric(p50(1)/p50(0), "÷bare")
	b.ReportMetric(float64(cpu[1]-cpu[0])/1e3/float64(len(times[0])), "cpu-on-top-µs")
	_ = client.Shutdown(b.Context())
}

// processCPU is the CPU time of this process, back end included.
func processCPU() time.Duration {
	d, err := load.CPU(os.Getpid())
	if err != nil {
		return 0
	}
	return d
}

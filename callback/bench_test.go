package callback_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	"posthouse/callback"
)

// latencies runs serve and reports its 50th and 99th percentile in microseconds.
func latencies(b *testing.B, prepare func(i int) *http.Request, serve func(*http.Request)) {
	b.Helper()
	b.ReportAllocs()
	var took []time.Duration
	i := 0
	for b.Loop() {
		b.StopTimer()
		req := prepare(i)
		i++
		b.StartTimer()
		start := time.Now()
		serve(req)
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

func unlimited(o *callback.Options) {
	o.Limits.PerSecond = 1 << 30
	o.Logger = slog.New(slog.DiscardHandler)
}

// BenchmarkLogin is our own part of a scan: signatures, decryption, parsing,
// dedupe and claim in memory, and the answer. The limit is 1 s with the store's
// round trips (docs/wechat.md §3.4 guarantee G9).
func BenchmarkLogin(b *testing.B) {
	r := newRig(b, unlimited)
	latencies(b, func(i int) *http.Request {
		return secure(event("o"+strconv.Itoa(i), "SCAN", scene, time.Now()))
	}, func(req *http.Request) { r.send(req) })
}

// BenchmarkForged is what a forged push costs (docs/reliability.md §4 row 29: at most 5 ms).
func BenchmarkForged(b *testing.B) {
	r := newRig(b, unlimited)
	latencies(b, func(int) *http.Request {
		return with(secure(scan(alice)), func(q url.Values) { q.Set("signature", "x") })
	}, func(req *http.Request) { r.send(req) })
}

// BenchmarkForgedEnvelope is the dearest refusal: 64 KiB with both signatures
// right and the wrong key.
func BenchmarkForgedEnvelope(b *testing.B) {
	r := newRig(b, unlimited)
	body := string(make([]byte, 45<<10))
	latencies(b, func(int) *http.Request {
		return sealed("OtherKeyOtherKeyOtherKeyOtherKeyOtherKeyOth", appID, body, time.Now())
	}, func(req *http.Request) { r.send(req) })
}

package backend_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"posthouse/internal/load"
	"posthouse/internal/testenv"
	"posthouse/socketio/client"
)

// BenchmarkHook_Backends is an acknowledged event through the gateway's hook beside a bare
// HTTP round trip with the same signed body to the same back end, one at a time. The CPU
// time on top is that of the gateway's process for an event, less that of a Go program for
// the bare request.
func BenchmarkHook_Backends(b *testing.B) {
	for _, language := range []string{"node", "python"} {
		b.Run(language, func(b *testing.B) {
			var url string
			if language == "node" {
				url, _ = start(b, language, "node", nodeExample(b))
			} else {
				testenv.Need(b, "python3")
				url, _ = start(b, language, "python3", filepath.Join(testenv.Root(), "examples", "backend", "python", "server.py"))
			}
			benchmarkHook(b, url+"/")
		})
	}
}

func benchmarkHook(b *testing.B, url string) {
	dir := b.TempDir()
	file := filepath.Join(dir, "posthouse.yaml")
	for name, text := range map[string]string{
		file:                           "namespaces:\n  /app:\n    auth: hook\n    limits: {events: 1000000/s}\n    hook: {url: " + url + ", secret-file: hook.key, events: [connect, \"*\"]}\n",
		filepath.Join(dir, "hook.key"): secret + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	base, gateway := testenv.Gateway(b, "POSTHOUSE_CONFIG="+file)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	s, err := client.Dial(ctx, base+"/app", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	hooked := func() {
		if n, err := client.Call[int](ctx, s, "count"); err != nil || n != 1 {
			b.Fatal(n, err)
		}
	}
	bare := bareRequest(b, url)

	// The two take turns, so that a machine that is slow for a while is slow for both.
	var times [2][]float64
	var used [2]time.Duration
	cpu := func(pid int) time.Duration {
		d, err := load.CPU(pid)
		if err != nil {
			b.Skip("SKIPPED: ", err)
		}
		return d
	}
	for b.Loop() {
		for i, do := range []func(){bare, hooked} {
			pid := []int{os.Getpid(), gateway.Process.Pid}[i]
			before := cpu(pid)
			for range 50 {
				begin := time.Now()
				do()
				times[i] = append(times[i], float64(time.Since(begin).Nanoseconds())/1e3)
			}
			used[i] += cpu(pid) - before
		}
	}
	var p50, each [2]float64
	for i := range times {
		slices.Sort(times[i])
		p50[i] = times[i][len(times[i])/2]
		each[i] = float64(used[i].Nanoseconds()) / 1e3 / float64(len(times[i]))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p50[0], "bare-p50-µs")
	b.ReportMetric(p50[1], "hook-p50-µs")
	b.ReportMetric(p50[1]/p50[0], "÷bare")
	b.ReportMetric(each[1]-each[0], "cpu-on-top-µs")
}

// bareRequest returns a function that posts what the gateway posts for an event, but for
// its names.
func bareRequest(b *testing.B, url string) func() {
	const id = "msg_ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	body := `{"type":"event","id":"` + id + `","namespace":"/app","socket":"abcdefghijklmnopqrst","user":"guest","rooms":["lobby"],"data":{"visits":1},"event":"count",` +
		`"args":[],"ack":true,"replica":"bench","address":"127.0.0.1","time":"2026-01-01T00:00:00.000Z"}`
	at := strconv.FormatInt(time.Now().Unix(), 10)
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		b.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, at, body)
	signature := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return func() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", at)
		r.Header.Set("Webhook-Signature", signature)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer w.Body.Close()
		if _, err := io.Copy(io.Discard, w.Body); err != nil || w.StatusCode != http.StatusOK {
			b.Fatal(w.StatusCode, err)
		}
	}
}

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
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"posthouse/internal/load"
	"posthouse/internal/testenv"
	"posthouse/socketio/client"
)

// BenchmarkHook_Event is an acknowledged event through the gateway's hook beside a bare
// HTTP round trip with the same signed body to the same back end. The times are those of
// one at a time, floor-p50 is the bare round trip and an event that the gateway answers
// itself, one after the other: what is above it is the hook's own. The CPU time is that of
// the gateway's process for an event with sixteen under way, less that of a Go program for
// such a bare request; event-cpu is that of an event without a hook.
func BenchmarkHook_Event(b *testing.B) {
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
		file:                           "namespaces:\n  /app:\n    auth: hook\n    join: [\"topic:*\"]\n    limits: {events: 1000000/s}\n    hook: {url: " + url + ", secret-file: hook.key, events: [connect, \"*\"]}\n",
		filepath.Join(dir, "hook.key"): secret + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	base, gateway := testenv.Gateway(b, "POSTHOUSE_CONFIG="+file)
	ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
	defer cancel()
	sockets := make([]*client.Socket, 16)
	for i := range sockets {
		s, err := client.Dial(ctx, base+"/app", nil)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		sockets[i] = s
	}
	bare := bareRequest(b, url)
	kinds := [3]struct {
		do    func(s *client.Socket) error
		pid   int
		times []float64
		used  time.Duration
	}{
		{do: func(*client.Socket) error { return bare() }, pid: os.Getpid()},
		{do: func(s *client.Socket) error {
			_, err := client.Call[int](ctx, s, "count")
			return err
		}, pid: gateway.Process.Pid},
		{do: func(s *client.Socket) error { // answered by the gateway
			_, err := s.EmitWithAck(ctx, "join", "topic:1")
			return err
		}, pid: gateway.Process.Pid},
	}
	cpu := func(pid int) time.Duration {
		d, err := load.CPU(pid)
		if err != nil {
			b.Skip("SKIPPED: ", err)
		}
		return d
	}
	const alone, each = 50, 10
	rounds := 0
	for b.Loop() {
		rounds++
		// The three take turns, so that a machine that is slow for a while is slow for all.
		for i := range kinds {
			k := &kinds[i]
			for range alone {
				begin := time.Now()
				if err := k.do(sockets[0]); err != nil {
					b.Fatal(err)
				}
				k.times = append(k.times, float64(time.Since(begin).Nanoseconds())/1e3)
			}
			before := cpu(k.pid)
			var together sync.WaitGroup
			var failed atomic.Value
			for _, s := range sockets {
				together.Go(func() {
					for range each {
						if err := k.do(s); err != nil {
							failed.Store(err.Error())
						}
					}
				})
			}
			together.Wait()
			if err := failed.Load(); err != nil {
				b.Fatal(err)
			}
			k.used += cpu(k.pid) - before
		}
	}
	p50 := func(i int) float64 {
		slices.Sort(kinds[i].times)
		return kinds[i].times[len(kinds[i].times)/2]
	}
	used := func(i int) float64 {
		return float64(kinds[i].used.Nanoseconds()) / 1e3 / float64(rounds*each*len(sockets))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(p50(0), "bare-p50-µs")
	b.ReportMetric(p50(0)+p50(2), "floor-p50-µs")
	b.ReportMetric(p50(1), "hook-p50-µs")
	b.ReportMetric(p50(1)/p50(0), "÷bare")
	b.ReportMetric(p50(1)/(p50(0)+p50(2)), "÷floor")
	b.ReportMetric(used(2), "event-cpu-µs")
	b.ReportMetric(used(1)-used(0), "cpu-on-top-µs")
}

// bareRequest returns a function that posts what the gateway posts for an event, but for
// its names.
func bareRequest(b *testing.B, url string) func() error {
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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	b.Cleanup(transport.CloseIdleConnections)
	return func() error {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Webhook-Id", id)
		r.Header.Set("Webhook-Timestamp", at)
		r.Header.Set("Webhook-Signature", signature)
		w, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer w.Body.Close()
		if _, err := io.Copy(io.Discard, w.Body); err != nil || w.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d, %w", w.StatusCode, err)
		}
		return nil
	}
}

package gateway_test

import (
	"bytes"
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
)

// BenchmarkAPI_Batch is the CPU time of the gateway for one event of a batch of a hundred,
// beside that of a Node process with @socket.io/redis-emitter, which says the same to the
// same Redis. ÷emitter is the median of the ratios of the rounds.
func BenchmarkAPI_Batch(b *testing.B) {
	const key, batch, batches = "the-key-of-the-back-end", 100, 200
	testenv.NodeDir(b)
	dir := b.TempDir()
	file := filepath.Join(dir, "posthouse.yaml")
	if err := os.WriteFile(file, []byte("namespaces:\n  /app:\n    auth: open\n    rooms: [everyone]\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	redis, _ := testenv.Redis(b)
	base, gateway := testenv.Gateway(b, "POSTHOUSE_CONFIG="+file, "POSTHOUSE_REDIS_URL=redis://"+redis, "POSTHOUSE_API_KEY="+key)

	var body bytes.Buffer
	for i := range batch {
		fmt.Fprintf(&body, `,{"namespace":"/app","to":["everyone"],"event":"msg","args":[{"i":%d,"pad":%q}]}`, i, strings.Repeat("x", 48))
	}
	body.WriteByte(']')
	body.Bytes()[0] = '['
	send := func() {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, base+"/api/batch", bytes.NewReader(body.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		defer w.Body.Close()
		answer, err := io.ReadAll(w.Body)
		if err != nil || w.StatusCode != http.StatusOK || strings.Contains(string(answer), "status") {
			b.Fatalf("%d %.200s %v", w.StatusCode, answer, err)
		}
	}
	for range 50 {
		send()
	}
	var ours, emitters, ratios []float64
	for b.Loop() {
		before, err := load.CPU(gateway.Process.Pid)
		if err != nil {
			b.Skip("SKIPPED: ", err)
		}
		for range batches {
			send()
		}
		after, err := load.CPU(gateway.Process.Pid)
		if err != nil {
			b.Fatal(err)
		}
		our := float64((after - before).Microseconds()) / batch / batches
		out := testenv.Node(b, time.Minute, filepath.Join("testdata", "emitter_cost.cjs"), "redis://"+redis, strconv.Itoa(batch*batches))
		emitter, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if err != nil {
			b.Fatal(err)
		}
		ours, emitters, ratios = append(ours, our), append(emitters, emitter), append(ratios, our/emitter)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "cpu-µs/event")
	b.ReportMetric(median(emitters), "emitter-µs/event")
	b.ReportMetric(median(ratios), "÷emitter")
}

func median(v []float64) float64 {
	v = append([]float64(nil), v...)
	slices.Sort(v)
	return v[len(v)/2]
}

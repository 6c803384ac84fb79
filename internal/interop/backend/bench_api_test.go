package backend_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/internal/jsontext"
	"posthouse/internal/load"
	"posthouse/internal/testenv"
)

const (
	batchSize = 100
	// apiKeys is how many keys take turns: each may make a thousand requests a second.
	apiKeys = 16
)

func apiKey(i int) string { return "the-key-of-the-back-end-" + strconv.Itoa(i%apiKeys) }

// BenchmarkAPI_Emit is the CPU time of an event that a back end emits to a room: of the
// gateway's process for POST /api/batch with 100 entries and for POST /api/emit, of a
// process that uses the npm emitter, 100 events or one between two answers of Redis, and of
// the floor: a bare net/http server that reads the same bodies, writes their PUBLISHes to
// Redis, and is subscribed to them as a gateway has to be. Batches are made one after the
// other (batch) and four at once (batches), single emits (one) one after the other. All
// take turns. On one core, the load and Redis have the others, as in examples/bench; on all
// of them, a program of several threads pays for what moves between them.
func BenchmarkAPI_Emit(b *testing.B) {
	packages := testenv.NodeDir(b, "@socket.io/redis-emitter", "redis", "ioredis")
	cores, err := load.Cores(0)
	if err != nil {
		b.Skip("SKIPPED: ", err)
	}
	if last := len(cores) - 1; last > 0 {
		b.Run("one core", func(b *testing.B) {
			if err := load.Pin(cores[:last]...); err != nil {
				b.Skip("SKIPPED: ", err)
			}
			defer load.Pin(cores...)
			eachDriver(b, packages, cores[last:])
		})
	}
	b.Run("all cores", func(b *testing.B) { eachDriver(b, packages, cores) })
}

func eachDriver(b *testing.B, packages string, cores []int) {
	for _, driver := range []string{"redis", "ioredis"} {
		b.Run(driver, func(b *testing.B) { benchmarkEmit(b, packages, driver, cores) })
	}
}

func benchmarkEmit(b *testing.B, packages, driver string, cores []int) {
	addr, _ := testenv.Redis(b)
	file := filepath.Join(b.TempDir(), "posthouse.yaml")
	if err := os.WriteFile(file, []byte("namespaces:\n  /app:\n    auth: open\n    rooms: [everyone]\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var keys string
	for i := range apiKeys {
		keys += apiKey(i) + "\n"
	}
	var base, floorURL string
	var gateway *testenv.Process
	var floor int
	var emitter *npmEmitter
	err := load.StartOn(cores, func() error {
		base, gateway = testenv.Gateway(b, "POSTHOUSE_CONFIG="+file, "POSTHOUSE_REDIS_URL=redis://"+addr, "POSTHOUSE_API_KEY="+keys)
		floor, floorURL = startFloor(b, addr)
		emitter = startEmitter(b, driver, packages, "redis://"+addr)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	b.Cleanup(func() { rdb.Close() })
	batch, one := emitBodies()
	sides := []struct {
		name string
		pid  int
		// run does rounds of events, some at once, and returns when Redis has taken them
		run func(rounds, events, atOnce int)
	}{
		{"ours", gateway.Process.Pid, func(rounds, events, atOnce int) {
			before := redisPublished(b, rdb)
			post(b, base, batch, one, rounds, events, atOnce)
			testenv.Until(b, time.Minute, "Redis to have every event", func() bool { return redisPublished(b, rdb) >= before+rounds*events })
		}},
		{"emitter", emitter.process.Pid, emitter.run},
		{"floor", floor, func(rounds, events, atOnce int) { post(b, floorURL, batch, one, rounds, events, atOnce) }},
	}
	kinds := []struct {
		name                  string
		times, events, atOnce int
		used                  [3]time.Duration
	}{{name: "batch", times: 20, events: batchSize, atOnce: 1}, {name: "batches", times: 20, events: batchSize, atOnce: 4}, {name: "one", times: 200, events: 1, atOnce: 1}}
	for _, s := range sides { // until Node has compiled what it runs
		s.run(1000, batchSize, 1)
		s.run(2000, 1, 1)
	}
	rounds := 0
	for b.Loop() {
		rounds++
		for k := range kinds {
			for i, s := range sides {
				before := cpuOf(b, s.pid)
				s.run(kinds[k].times, kinds[k].events, kinds[k].atOnce)
				kinds[k].used[i] += cpuOf(b, s.pid) - before
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, k := range kinds {
		for i, s := range sides {
			b.ReportMetric(float64(k.used[i].Nanoseconds())/1e3/float64(rounds*k.times*k.events), k.name+"-"+s.name+"-µs")
		}
		b.ReportMetric(float64(k.used[0])/float64(k.used[1]), k.name+"÷emitter")
		b.ReportMetric(float64(k.used[0])/float64(k.used[2]), k.name+"÷floor")
	}
}

func cpuOf(b *testing.B, pid int) time.Duration {
	d, err := load.CPU(pid)
	if err != nil {
		b.Skip("SKIPPED: ", err)
	}
	return d
}

// emitBodies are a batch of 100 entries and a single emit.
func emitBodies() (batch, one []byte) {
	entry := func(i int) string {
		return `{"namespace":"/app","to":["everyone"],"event":"msg","args":[{"i":` + strconv.Itoa(i) + `,"pad":"` + strings.Repeat("x", 48) + `"}]}`
	}
	entries := make([]string, batchSize)
	for i := range entries {
		entries[i] = entry(i)
	}
	return []byte("[" + strings.Join(entries, ",") + "]"), []byte(entry(0))
}

// post posts a batch, or a single emit, again and again.
func post(b *testing.B, base string, batch, one []byte, rounds, events, atOnce int) {
	path, body := "/api/batch", batch
	if events == 1 {
		path, body = "/api/emit", one
	}
	var posters sync.WaitGroup
	for first := range atOnce {
		posters.Go(func() {
			for i := first; i < rounds; i += atOnce {
				postOnce(b, base+path, apiKey(i), body)
			}
		})
	}
	posters.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

func postOnce(b *testing.B, url, key string, body []byte) {
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer w.Body.Close()
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.StatusCode != http.StatusOK || bytes.Contains(answer, []byte("status")) {
		b.Errorf("%d %s %v", w.StatusCode, answer, err)
	}
}

// npmEmitter is a process of testdata/emitter.cjs.
type npmEmitter struct {
	b       *testing.B
	process *os.Process
	in      io.Writer
	out     *bufio.Reader
}

func startEmitter(b *testing.B, driver, packages, url string) *npmEmitter {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), "node", filepath.Join("testdata", "emitter.cjs"), driver, packages, url)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	e := &npmEmitter{b, cmd.Process, in, bufio.NewReader(out)}
	e.expect("ready\n")
	return e
}

func (e *npmEmitter) run(rounds, events, atOnce int) {
	fmt.Fprintln(e.in, rounds, events, atOnce)
	e.expect("done\n")
}

func (e *npmEmitter) expect(line string) {
	e.b.Helper()
	if got, err := e.out.ReadString('\n'); got != line {
		e.b.Fatalf("the emitter says %q (%v), want %q", got, err, line)
	}
}

// floorEnv makes the test program the floor of BenchmarkAPI_Emit; its value is the
// address of Redis.
const floorEnv = "POSTHOUSE_TEST_API_FLOOR"

func startFloor(b *testing.B, redisAddr string) (pid int, url string) {
	b.Helper()
	p := testenv.Start(b, []string{floorEnv + "=" + redisAddr}, os.Args[0])
	testenv.Until(b, 20*time.Second, "the floor to listen", func() bool {
		_, rest, found := strings.Cut(p.Output(), "listening on ")
		url, _, _ = strings.Cut(rest, "\n")
		return found && url != ""
	})
	return p.Process.Pid, url
}

// serveFloor answers a batch, or a single emit, with one write to Redis that publishes
// each entry as it is, and one read of the replies. It judges nothing, delivers to no
// client, and reads the messages of its subscription without a look.
func serveFloor(redisAddr string) error {
	conn, err := net.Dial("tcp", redisAddr)
	if err != nil {
		return err
	}
	replies := bufio.NewReader(conn)
	subscription, err := net.Dial("tcp", redisAddr)
	if err == nil {
		_, err = io.WriteString(subscription, "PSUBSCRIBE socket.io#/app#*\r\n")
	}
	if err != nil {
		return err
	}
	go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{subscription}, make([]byte, 32<<10)) }() // until the process ends
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", l.Addr())
	var mu sync.Mutex // one request at a time has the connection
	var commands []byte
	publish := func(entry []byte) {
		commands = append(commands, "*3\r\n$7\r\npublish\r\n$24\r\nsocket.io#/app#everyone#\r\n$"...)
		commands = strconv.AppendInt(commands, int64(len(entry)), 10)
		commands = append(append(append(commands, "\r\n"...), entry...), "\r\n"...)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		commands = commands[:0]
		count := 1
		if body[0] != '[' {
			publish(body)
		} else {
			count = 0
			jsontext.EachElement(body, func(entry []byte) { publish(entry); count++ })
		}
		if _, err := conn.Write(commands); err != nil {
			return
		}
		for range count {
			if _, err := replies.ReadSlice('\n'); err != nil {
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("{}\n"))
	})}
	return server.Serve(l)
}

// redisPublished is how many messages Redis has taken.
func redisPublished(b *testing.B, rdb *redis.Client) int {
	text, err := rdb.Info(b.Context(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "cmdstat_publish:calls=")
	number, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(number)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

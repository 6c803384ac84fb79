package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"posthouse/internal/testenv"
	"posthouse/socketio"
	"posthouse/socketio/client"
)

// roleVar makes the test binary another process: a server that can be killed, or one end of
// a benchmark, whose CPU time must be its own.
const roleVar = "POSTHOUSE_CLIENT_ROLE"

// profileVar names the file to which our client writes its CPU profile.
const profileVar = "POSTHOUSE_CLIENT_PROFILE"

// runRole runs another process than the tests and reports whether this is one.
func runRole() bool {
	role := strings.Fields(os.Getenv(roleVar))
	if len(role) == 0 {
		return false
	}
	var err error
	switch role[0] {
	case "server":
		err = benchServer()
	case "client":
		err = benchClient(role[1], role[2], role[3])
	case "bare":
		err = benchBare(role[1], role[2], role[3])
	case "idle":
		err = benchIdle(role[1], role[2])
	case "numbered":
		err = numberedServer(role[1], role[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

// benchServer is what both clients speak to.
func benchServer() error {
	srv, err := socketio.New(nil)
	if err != nil {
		return err
	}
	payload := benchPayload()
	srv.OnConnection(func(s *socketio.Socket) {
		s.On("echo", func(e *socketio.Event) { _ = e.Ack(e.Args()) })
		s.On("pump", func(e *socketio.Event) {
			var n int
			if e.Bind(&n) != nil {
				return
			}
			for range n {
				_ = s.Emit("tick", payload)
			}
		})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on", l.Addr().(*net.TCPAddr).Port)
	return srv.Serve(l, &http.Server{Handler: srv, ReadHeaderTimeout: patience})
}

type benchMessage struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
	Text string `json:"text"`
}

func benchPayload() *benchMessage {
	return &benchMessage{12345, "someone", strings.Repeat("x", 40)}
}

// cpuTime returns what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchClient is testdata/bench.js with the client of this module.
func benchClient(url, workload, ms string) error {
	n, err := strconv.Atoi(ms)
	if err != nil {
		return err
	}
	ctx := context.Background()
	payload := benchPayload()
	var ops atomic.Int64
	open := func() (*client.Socket, error) {
		return client.Dial(ctx, url, &client.Options{Transports: []string{"websocket"}})
	}
	ask := func(s *client.Socket) {
		for {
			if _, err := s.EmitWithAck(ctx, "echo", payload); err != nil {
				panic(err)
			}
			ops.Add(1)
		}
	}
	clients := 1
	if workload == "echo-50-clients" {
		clients = 50
	}
	for range clients {
		s, err := open()
		if err != nil {
			return err
		}
		switch workload {
		case "echo-1", "echo-50-clients":
			go ask(s)
		case "echo-16":
			var chain func(socketio.Args, error)
			chain = func(_ socketio.Args, err error) {
				if err != nil {
					panic(err)
				}
				ops.Add(1)
				_ = s.EmitAck("echo", chain, payload)
			}
			for range 16 {
				_ = s.EmitAck("echo", chain, payload)
			}
		case "events":
			left := 1000
			s.On("tick", func(*client.Event) {
				ops.Add(1)
				if left--; left == 0 {
					left = 1000
					_ = s.Emit("pump", left)
				}
			})
			_ = s.Emit("pump", left)
		}
	}
	time.Sleep(500 * time.Millisecond)
	if path := os.Getenv(profileVar); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	before, cpu := ops.Load(), cpuTime()
	time.Sleep(time.Duration(n) * time.Millisecond)
	used := cpuTime() - cpu
	fmt.Println(ops.Load()-before, used.Microseconds())
	return nil
}

// benchIdle connects many clients and prints what each costs, in bytes.
func benchIdle(url, transports string) error {
	const clients = 2000
	ctx := context.Background()
	inUse := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := inUse()
	sockets := make([]*client.Socket, clients)
	for i := range sockets {
		s, err := client.New(url, &client.Options{Transports: strings.Split(transports, ",")})
		if err != nil {
			return err
		}
		upgraded := make(chan struct{}, 1)
		s.Manager().OnUpgrade(func(string) { upgraded <- struct{}{} })
		if err := s.Connect(ctx); err != nil {
			return err
		}
		if strings.Contains(transports, ",") {
			<-upgraded
		}
		sockets[i] = s
	}
	time.Sleep(2 * time.Second) // workers and closed connections go
	fmt.Println((inUse()-before)/clients, runtime.NumGoroutine())
	if path := os.Getenv(profileVar); path != "" {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := pprof.WriteHeapProfile(f); err != nil {
			return err
		}
	}
	runtime.KeepAlive(sockets)
	return nil
}

// startBenchServer returns the URL of the server, which is a process of its own.
func startBenchServer(b *testing.B) (url, self string) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	process := testenv.Start(b, []string{roleVar + "=server"}, self)
	testenv.Until(b, patience, "the server listens", func() bool { return listening.MatchString(process.Output()) })
	return "http://127.0.0.1:" + listening.FindStringSubmatch(process.Output())[1], self
}

// twoNumbers runs a client to its end and returns the numbers that it prints.
func twoNumbers(b *testing.B, env []string, name string, args ...string) (first, second float64) {
	b.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(string(out), &first, &second); err != nil {
		b.Fatalf("%q: %v", out, err)
	}
	return first, second
}

// The CPU time of one operation, beside npm's socket.io-client and beside bare sockets:
// each round runs the three, one after the other, against the same server. The ratios
// are medians of the rounds: -benchtime 5x makes five. Where bare-ratio, that of bare
// sockets to npm's client, is above a goal, no client in Go reaches the goal.
func BenchmarkClient(b *testing.B) {
	dir := testenv.NodeDir(b, "socket.io-client")
	script, err := filepath.Abs(filepath.Join("testdata", "bench.js"))
	if err != nil {
		b.Fatal(err)
	}
	const ms = "1000"
	for _, workload := range []string{"echo-1", "echo-16", "echo-50-clients", "events"} {
		b.Run(workload, func(b *testing.B) {
			url, self := startBenchServer(b)
			var ours, npm, ratios, bare, floors []float64
			for b.Loop() {
				ops, cpu := twoNumbers(b, []string{roleVar + "=client " + url + " " + workload + " " + ms}, self)
				ours = append(ours, cpu/ops)
				ops, cpu = twoNumbers(b, []string{"NODE_PATH=" + filepath.Join(dir, "node_modules")}, "node", script, url, workload, ms)
				npm = append(npm, cpu/ops)
				ratios = append(ratios, ours[len(ours)-1]/npm[len(npm)-1])
				ops, cpu = twoNumbers(b, []string{roleVar + "=bare " + url + " " + workload + " " + ms}, self)
				bare = append(bare, cpu/ops)
				floors = append(floors, bare[len(bare)-1]/npm[len(npm)-1])
			}
			for _, list := range [][]float64{ours, npm, ratios, bare, floors} {
				slices.Sort(list)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(ours[len(ours)/2], "µs-cpu")
			b.ReportMetric(npm[len(npm)/2], "npm-µs-cpu")
			b.ReportMetric(bare[len(bare)/2], "bare-µs-cpu")
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(floors[len(floors)/2], "bare-ratio")
			b.ReportMetric(ratios[len(ratios)-1]-ratios[0], "spread")
		})
	}
}

// The memory of one idle client, heap and stacks after a collection.
func BenchmarkClient_Idle(b *testing.B) {
	for name, list := range map[string]string{"websocket": "websocket", "upgraded": "polling,websocket"} {
		b.Run(name, func(b *testing.B) {
			url, self := startBenchServer(b)
			for b.Loop() {
				bytes, goroutines := twoNumbers(b, []string{roleVar + "=idle " + url + " " + list}, self)
				b.ReportMetric(bytes, "B/client")
				b.ReportMetric(goroutines, "goroutines")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

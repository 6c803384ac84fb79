// Command gws is github.com/lxzan/gws under test, as the bare WebSocket line: it answers
// what the load of the WebSocket scenarios sends with the bytes that are expected, and knows
// nothing of Socket.IO. What it costs is what a good WebSocket library for Go costs. It is a
// module of its own, so that its dependencies are not downloaded with posthouse.
//
// Environment: PORT (127.0.0.1; 0 picks one), PING_INTERVAL in milliseconds.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench server:", err)
		os.Exit(1)
	}
}

func run() error {
	interval := 25 * time.Second
	if s := os.Getenv("PING_INTERVAL"); s != "" {
		ms, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("PING_INTERVAL: %w", err)
		}
		interval = time.Duration(ms) * time.Millisecond
	}
	h := &handler{interval: interval, pings: map[*gws.Conn]*time.Timer{}, members: map[*gws.Conn]struct{}{}}
	upgrader := gws.NewUpgrader(h, nil)
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		return err
	}
	fmt.Printf("listening on http://%s\n", ln.Addr())
	return (&http.Server{Handler: h.routes(upgrader), ReadHeaderTimeout: 10 * time.Second}).Serve(ln)
}

// handler is the whole state.
type handler struct {
	gws.BuiltinEventHandler
	interval time.Duration

	mu      sync.Mutex // guards what follows
	pings   map[*gws.Conn]*time.Timer
	members map[*gws.Conn]struct{}
}

// OnOpen sends the open packet and begins to ping.
func (h *handler) OnOpen(c *gws.Conn) {
	_ = c.WriteString(`0{"sid":"AAAAAAAAAAAAAAAAAAAA","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	h.mu.Lock()
	defer h.mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(h.interval, func() {
		if c.WriteString("2") == nil {
			h.mu.Lock()
			defer h.mu.Unlock()
			timer.Reset(h.interval)
		}
	})
	h.pings[c] = timer
}

// OnClose forgets the connection.
func (h *handler) OnClose(c *gws.Conn, _ error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if timer := h.pings[c]; timer != nil {
		timer.Stop()
	}
	delete(h.pings, c)
	delete(h.members, c)
}

// OnMessage answers what the clients expect.
func (h *handler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	p := m.Bytes()
	switch {
	case m.Opcode == gws.OpcodeBinary:
		_ = c.WriteMessage(gws.OpcodeBinary, p)
	case bytes.HasPrefix(p, []byte("40")):
		_ = c.WriteString(`40{"sid":"BBBBBBBBBBBBBBBBBBBB"}`)
	case bytes.HasPrefix(p, []byte("451-7")):
		_ = c.WriteString(`461-7[{"_placeholder":true,"num":0}]`)
	case bytes.HasPrefix(p, []byte(`420["join"`)):
		h.mu.Lock()
		h.members[c] = struct{}{}
		h.mu.Unlock()
		_ = c.WriteString(`430[]`)
	case bytes.HasPrefix(p, []byte("42")):
		if i := bytes.Index(p, []byte(`["echo",`)); i > 0 {
			p[1] = '3'
			copy(p[len(`"echo",`):], p[:i+1])
			_ = c.WriteMessage(gws.OpcodeText, p[len(`"echo",`):])
		}
	}
}

func (h *handler) broadcast(n int) {
	h.mu.Lock()
	members := make([]*gws.Conn, 0, len(h.members))
	for c := range h.members {
		members = append(members, c)
	}
	h.mu.Unlock()
	pad := strings.Repeat("x", 48)
	for i := range n {
		b := gws.NewBroadcaster(gws.OpcodeText, []byte(`42["msg",{"i":`+strconv.Itoa(i)+`,"pad":"`+pad+`"}]`))
		for _, c := range members {
			_ = b.Broadcast(c)
		}
		_ = b.Close()
	}
}

func (h *handler) routes(upgrader *gws.Upgrader) http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s) }
	mux.HandleFunc("/socket.io/", func(w http.ResponseWriter, r *http.Request) {
		if c, err := upgrader.Upgrade(w, r); err == nil {
			go c.ReadLoop() // so that the request's goroutine and buffers are given back
		}
	})
	mux.HandleFunc("GET /bench/pid", func(w http.ResponseWriter, _ *http.Request) { answer(w, strconv.Itoa(os.Getpid())) })
	mux.HandleFunc("POST /bench/gc", func(w http.ResponseWriter, _ *http.Request) {
		debug.FreeOSMemory()
		answer(w, "ok")
	})
	mux.HandleFunc("GET /bench/broadcast", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		h.broadcast(n)
		answer(w, "ok")
	})
	return mux
}

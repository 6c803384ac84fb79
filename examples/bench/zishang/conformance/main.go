// Command conformance is github.com/zishang520/socket.io under the protocol checks
// of this repository: it serves with servers/socket/v3 and servers/engine/v3 the
// fixtures that internal/interop/protocol/testdata/twin.js serves with Node's
// packages (docs/conformance.md). It prints their URLs as one line of JSON and ends
// with its standard input:
//
//	make conformance-peers
//
// The checks look at the wire and at what the fixtures log, so that the fixtures use
// the API of that module as its documentation does, and repair nothing.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func run() error {
	j := &journal{entries: map[string][]string{}}
	urls := map[string]string{}
	for _, f := range []struct {
		name, path string
		handler    http.Handler
	}{
		{"eio4", "/engine.io/", newEcho(false)},
		{"eio3", "/engine.io/", newEcho(true)},
		{"sio5", "/socket.io/", newSIO5()},
		{"sioclient", "/socket.io/", newSIOClient()},
		{"eioclient", "/engine.io/", newEIOClient()},
		{"hooks", "/engine.io/", j.newHooks()},
		{"deflate", "/engine.io/", j.newDeflate()},
		{"jsonp", "/engine.io/", j.newJSONP()},
		{"initial", "/engine.io/", j.newInitial()},
		{"noupgrade", "/engine.io/", j.newPollingOnly()},
		{"sio", "/socket.io/", j.newEvents(nil)},
		{"siov2", "/socket.io/", j.newEvents(withEIO3)},
		{"recovery", "/socket.io/", j.newEvents(withRecovery)},
	} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		mux := http.NewServeMux()
		mux.Handle("/log", j)
		mux.Handle(f.path, f.handler)
		server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
		go func() { _ = server.Serve(ln) }() // ends with the process
		urls[f.name] = "http://" + ln.Addr().String()
	}
	if err := json.NewEncoder(os.Stdout).Encode(urls); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// journal keeps by tag what the servers saw, for GET /log?tag=….
type journal struct {
	mu      sync.Mutex // guards what follows
	entries map[string][]string
}

func (j *journal) add(tag, format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries[tag] = append(j.entries[tag], fmt.Sprintf(format, args...))
}

func (j *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_ = json.NewEncoder(w).Encode(append([]string{}, j.entries[r.URL.Query().Get("tag")]...))
}

// must is for registrations whose event names are ours.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

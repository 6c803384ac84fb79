package engineio_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"posthouse/socketio/engineio"
)

func ExampleNew() {
	_, err := engineio.New(&engineio.Options{Cookie: &http.Cookie{Path: "/; Domain=example.com"}})
	fmt.Println(err)
	// Output: engineio: invalid cookie: http: invalid byte ';' in Cookie.Path
}

func ExampleOptions_compression() {
	engineio.NewServer(&engineio.Options{
		// Answers to polls are compressed from 1024 bytes, as in Node:
		HTTPCompression: &engineio.HTTPCompression{Threshold: 4096},
		// WebSockets are not unless you say so, as in Node:
		PerMessageDeflate: &engineio.PerMessageDeflate{Level: 3},
	})
	// Messages that resemble those before them become much smaller for 8 KiB a direction:
	engineio.NewServer(&engineio.Options{
		PerMessageDeflate: &engineio.PerMessageDeflate{ContextTakeover: 8192, Threshold: 128},
	})
}

func ExampleOptions_limits() {
	engineio.NewServer(&engineio.Options{
		MaxPayload:   4 << 20,  // of one message
		MaxFragments: 1024,     // of one message; the default would be 4096 here
		MaxBuffered:  8 << 20,  // may wait for a client that takes nothing for a while
		MaxBacklog:   64 << 20, // may wait for any client
	})
}

func ExampleConnectionError() {
	engineio.NewServer(&engineio.Options{
		OnConnectionError: func(e *engineio.ConnectionError) {
			if e.Code == engineio.CodeUnknownSID {
				return // a client that outlived its session
			}
			log.Printf("refused: %d %s %q", e.Code, e.Message, e.Context) // values are hostile
		},
	})
}

// tracked is a handler that wants to know of upgrades.
type tracked struct{ echoHandler }

func (t *tracked) Upgraded(transport string) { log.Println(t.session.ID(), "now uses", transport) }

func ExampleUpgradeHandler() {
	var handler engineio.UpgradeHandler = new(tracked)
	_ = handler
	engineio.NewServer(&engineio.Options{
		Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			return &tracked{echoHandler{s}}, nil
		},
	})
}

func ExampleNewFrame() {
	f := engineio.NewFrame(engineio.Message{Data: []byte{1, 2, 3}, Binary: true}, false)
	fmt.Println(f.Message().Data)
	// Output: [1 2 3]
}

// A transport in a package of its own: package webtransport is one.
func ExampleServer_External() {
	engine := engineio.NewServer(&engineio.Options{Transports: []string{"polling", "websocket", "pigeon"}})
	var open engineio.OpenFunc = func(w http.ResponseWriter, r *http.Request, maxPayload int64) (net.Conn, error) {
		ours, theirs := net.Pipe()
		_ = theirs // carries packets in WebSocket frames to and from the pigeons
		return ours, nil
	}
	http.Handle("/pigeon/", engine.External("pigeon", open))
}

func ExampleBodyDeadline() {
	engine := engineio.NewServer(nil) // times the bodies of its own requests
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		// Reads of r.Body fail with os.ErrDeadlineExceeded when the sender is too slow.
	})
	// Around everything, so that unknown paths and handlers without a use for the
	// body are covered too.
	server := &http.Server{Handler: engineio.BodyDeadline(mux), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// perHost is a ConnLimiter that keeps four connections of each host.
type perHost struct {
	mu   sync.Mutex
	open map[netip.Addr]int
}

func (l *perHost) AdmitConn(remote netip.AddrPort) (status, retryAfter int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[remote.Addr()] >= 4 {
		return http.StatusTooManyRequests, 5
	}
	l.open[remote.Addr()]++
	return 0, 0
}

func (l *perHost) ReleaseConn(remote netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[remote.Addr()]--; l.open[remote.Addr()] == 0 {
		delete(l.open, remote.Addr())
	}
}

func ExampleConnLimiter() {
	var limiter engineio.ConnLimiter = &perHost{open: map[netip.Addr]int{}}
	engine := engineio.NewServer(&engineio.Options{ConnLimiter: limiter})
	listener, err := net.Listen("tcp", ":3000")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(engine.Serve(listener, &http.Server{Handler: engine})) // counts what it accepts
}

func ExampleServer_Drain() {
	engine := engineio.NewServer(nil)
	// On SIGTERM: new clients get 503 and Retry-After, and so another replica.
	engine.Drain()
	// … close sessions one after the other, then:
	if err := engine.Shutdown(context.Background()); err != nil {
		log.Print(err)
	}
}

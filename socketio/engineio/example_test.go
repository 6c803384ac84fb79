package engineio_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"posthouse/socketio/engineio"
)

// echoHandler sends every message back.
type echoHandler struct{ session *engineio.Session }

func (h *echoHandler) Receive(m engineio.Message) error { return h.session.SendMessages(m) }

func (h *echoHandler) Closed(reason engineio.Reason, err error) {
	log.Println(h.session.ID(), "closed:", reason, err)
}

func Example() {
	engine := engineio.NewServer(&engineio.Options{
		Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			return &echoHandler{s}, nil
		},
	})
	http.Handle("/engine.io/", engine)
	log.Fatal(http.ListenAndServe("localhost:3000", nil))
}

func ExampleNewServer() {
	engineio.NewServer(&engineio.Options{
		Path:         "/realtime/",
		PingInterval: 10 * time.Second,
		AllowEIO3:    true,
		CORS:         &engineio.CORS{Origins: []string{"https://app.example"}, Credentials: true},
		AllowRequest: func(r *http.Request) error {
			if r.Header.Get("Authorization") == "" {
				return errors.New("who are you?") // the client sees this text
			}
			return nil
		},
	})
}

func ExampleServer_Shutdown() {
	engine := engineio.NewServer(&engineio.Options{
		OnShutdown: func() { log.Print("the sessions are about to end") },
	})
	server := &http.Server{Handler: engine}
	// … engine.Serve(listener, server), until it is time to end, in either order:
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil { // sessions too; waits for requests
		log.Print(err)
	}
	if err := engine.Shutdown(ctx); err != nil { // waits for handlers
		log.Print(err)
	}
}

func ExampleServer_ServeTLS() {
	engine := engineio.NewServer(nil)
	listener, err := net.Listen("tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: engine, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true) // WebSockets upgrade HTTP/1.1
	log.Fatal(engine.ServeTLS(listener, server, "cert.pem", "key.pem"))
}

func ExampleServer_Serve() {
	engine := engineio.NewServer(nil)
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", engine)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	listener, err := net.Listen("tcp", "localhost:3000")
	if err != nil {
		log.Fatal(err)
	}
	// Instead of server.Serve(listener): what is not for the engine goes to server.
	log.Fatal(engine.Serve(listener, server))
}

func ExampleFrame() {
	var members []*engineio.Session
	// Encoded once, shared by all.
	f := engineio.NewFrame(engineio.Message{Data: []byte("hello, all")}, true)
	for _, s := range members {
		s.SendSoon(f)
	}
}

func ExampleServer_NewBurst() {
	var engine *engineio.Server
	var members []*engineio.Session
	// Two messages to each member, in one write each.
	burst := engine.NewBurst()
	defer burst.End()
	for _, text := range []string{"first", "second"} {
		f := engineio.NewFrame(engineio.Message{Data: []byte(text)}, true)
		for _, s := range members {
			if err := burst.Send(s, f); err != nil {
				log.Print(err) // the session has just ended
			}
		}
	}
}

// queueing hands messages to a worker, and lets the peer wait when that is behind.
type queueing struct {
	session *engineio.Session
	queue   chan []byte
}

func (q *queueing) Receive(m engineio.Message) error {
	q.queue <- append([]byte(nil), m.Data...) // has room: see below
	if len(q.queue) == cap(q.queue) {
		return engineio.ErrPause
	}
	return nil
}

func (q *queueing) Closed(engineio.Reason, error) { close(q.queue) }

func (q *queueing) work(do func([]byte)) {
	for m := range q.queue {
		full := len(q.queue) == cap(q.queue)-1
		do(m)
		if full {
			q.session.Resume()
		}
	}
}

func ExampleSession_Resume() {
	engineio.NewServer(&engineio.Options{
		Accept: func(s *engineio.Session, r *http.Request) (engineio.Handler, error) {
			q := &queueing{session: s, queue: make(chan []byte, 64)}
			go q.work(func(m []byte) { log.Printf("%s", m) })
			return q, nil
		},
	})
}

func ExampleRefuseRequest() {
	admin := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Admin") == "" {
				engineio.RefuseRequest(w, r, errors.New("not an admin"))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	engineio.NewServer(&engineio.Options{Middlewares: []func(http.Handler) http.Handler{admin}})
}

// A limit on new connections stands before the server and reads requests as it does.
func ExampleOpensSession() {
	engine := engineio.NewServer(nil)
	tickets := make(chan struct{}, 1000) // a ticker fills it, so many a second
	limited := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if engineio.OpensSession(r) {
			select {
			case <-tickets:
			default:
				w.WriteHeader(http.StatusTooManyRequests)
				return
			}
		}
		engine.ServeHTTP(w, r)
	})
	_ = limited

	r, _ := http.NewRequest(http.MethodGet, "/engine.io/?EIO=4&transport=polling&sid=x&sid=", nil)
	fmt.Printf("%v %q %v\n", engineio.OpensSession(r), engineio.SessionID(r), engineio.IsUpgrade(r))
	// Output: true "" false
}

func ExampleServer_Stats() {
	engine := engineio.NewServer(&engineio.Options{
		OnSessionEnd: func(e *engineio.SessionEnd) { // an engineio.SessionEnd
			log.Println(e.ID, e.Transport, e.Reason, e.Duration, e.Packets, e.Bytes)
		},
	})
	st := engine.Stats() // an engineio.Stats
	fmt.Println(st.Sessions["websocket"], st.PacketsIn, engine.QueuedBytes())
	for _, reason := range engineio.Reasons() {
		fmt.Println(reason, st.Closed[reason])
	}
	for _, result := range engineio.UpgradeResults() {
		fmt.Println(result, st.Upgrades[result])
	}
	// Output:
	// 0 0 0
	// transport close 0
	// transport error 0
	// ping timeout 0
	// parse error 0
	// forced close 0
	// ok 0
	// timeout 0
	// failed 0
	// refused 0
}

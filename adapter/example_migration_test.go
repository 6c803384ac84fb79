package adapter_test

import (
	"context"
	"encoding/json"
	"log"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/clientdist"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

// The right column of the table in docs/engine.md, compiled: a test of
// internal/doccheck finds each of its snippets here.

func Example_optionsFromZishang520() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	_ = socketio.NewServer(&socketio.Options{
		NewAdapter:          adapter.Redis(rdb, nil),
		Codec:               parser.MessagePack(nil),
		ConnectTimeout:      45 * time.Second,
		Recovery:            &socketio.Recovery{MaxDisconnection: 2 * time.Minute, SkipMiddlewares: true},
		KeepEmptyNamespaces: true,
		Bundles:             clientdist.FS(),
		Engine: engineio.Options{
			Path:              "/socket.io/",
			NoTrailingSlash:   true,
			Transports:        []string{"polling", "websocket"},
			DisallowUpgrades:  true,
			AllowEIO3:         true,
			PingInterval:      25 * time.Second,
			PingTimeout:       20 * time.Second,
			UpgradeTimeout:    10 * time.Second,
			MaxPayload:        1_000_000,
			AllowRequest:      func(r *http.Request) error { return nil },
			CORS:              &engineio.CORS{Origin: "https://app.example", Credentials: true},
			Cookie:            &http.Cookie{Name: "io"},
			HTTPCompression:   &engineio.HTTPCompression{Threshold: 1024},
			PerMessageDeflate: &engineio.PerMessageDeflate{Threshold: 1024},
			InitialPacket:     &engineio.Message{Data: []byte("welcome")},
			Middlewares:       []func(http.Handler) http.Handler{func(next http.Handler) http.Handler { return next }},
			OnInitialHeaders:  func(h http.Header, r *http.Request) { h.Set("X-Replica", "a") },
			OnHeaders:         func(h http.Header, r *http.Request) { h.Set("X-Each", "1") },
			OnConnectionError: func(e *engineio.ConnectionError) { log.Print(e.Code, e.Message, e.Context) },
		},
	})
}

func Example_adaptersFromZishang520() {
	rdb := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	_ = []socketio.NewAdapter{adapter.Redis(rdb, nil), adapter.ShardedRedis(rdb, nil), adapter.RedisStreams(rdb, nil)}
}

func Example_serverFromZishang520() {
	ctx := context.Background()
	io := socketio.NewServer(&socketio.Options{})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	ln, err := net.Listen("tcp", ":3000")
	if err != nil {
		log.Fatal(err)
	}
	go io.Serve(ln, &http.Server{Handler: mux}) // returns http.ErrServerClosed after Shutdown
	defer io.Shutdown(ctx)

	chat := io.Of("/chat")
	rooms := io.OfRegexp(regexp.MustCompile(`^/dynamic-\d+$`))
	tenants := io.OfFunc(func(ctx context.Context, name string, auth json.RawMessage) bool {
		return strings.HasPrefix(name, "/t-")
	})
	io.OnNamespace(func(n *socketio.Namespace) { log.Print(n.Name()) })
	io.OnConnection(func(s *socketio.Socket) { log.Print(s.ID()) })
	_, _, _ = chat, rooms, tenants
	io.Use(func(ctx context.Context, s *socketio.Socket) error {
		return &socketio.ConnectError{Message: "not authorized", Data: map[string]int{"code": 7}}
	})

	io.To("a", "b").Except("c").Emit("news", 1)
	io.In("a").Emit("news", 1)
	io.Local().Volatile().Compress(false).Emit("news", 1)
	io.Emit("news", 1)
	io.Send("hello")
	answers, err := io.To("a").Timeout(time.Second).EmitWithAck(ctx, "question", 1)
	log.Print(answers, err)
	list, err := io.In("a").FetchSockets(ctx)
	log.Print(len(list), err)
	io.SocketsJoin(ctx, "a")
	io.SocketsLeave(ctx, "a")
	io.DisconnectSockets(ctx, true)
	io.ServerSideEmit("reload", 1)
	loads, err := io.ServerSideEmitWithAck(ctx, "load?")
	io.OnServerSideEmit("load?", func(e *socketio.ServerSideEvent) { e.Ack(0.7) })
	for s := range io.Sockets() {
		log.Print(s.ID())
	}
	for _, r := range list {
		r.Emit("hello")
		r.Join(ctx, "a")
		r.Disconnect(ctx, true)
		log.Print(r.ID(), r.Rooms(), r.Handshake().Address)
	}
	log.Print(loads, err, io.LocalAdapter().HasRoom("a"))
	// The layer below:
	log.Print(io.Engine().ClientsCount())
}

func Example_socketFromZishang520() {
	ctx := context.Background()
	io := socketio.NewServer(nil)
	userID := socketio.NewKey[int]("userID")
	io.OnConnection(func(s *socketio.Socket) {
		s.On("order", func(e *socketio.Event) {
			var item string
			var n int
			if err := e.Bind(&item, &n); err != nil {
				return // what the client sent does not fit; no panic
			}
			e.Ack("ok", n)
		})
		s.Once("first", func(e *socketio.Event) {})
		s.Off("order")
		s.OnAny(func(e *socketio.Event) { log.Print(e.Name()) })
		s.OnAnyOutgoing(func(event string, args socketio.Args) { log.Print(event) })
		s.OnDisconnecting(func(r socketio.Reason) { log.Print(s.Rooms()) })
		s.OnDisconnect(func(r socketio.Reason) { log.Print(r) })
		s.OnError(func(err error) { log.Print(err) })
		s.Use(func(e *socketio.Event) error { return nil })

		s.Emit("news", 1, []byte{2})
		answer, err := s.Timeout(time.Second).EmitWithAck(ctx, "question", 1)
		s.EmitAck("question", func(answer socketio.Args, err error) {}, 1)
		s.Volatile().Emit("position", 1.5)
		s.Compress(false).Emit("photo", []byte{1})
		s.Broadcast().Emit("joined")
		s.To("a").Except("b").Emit("joined")
		s.Join("a", "b")
		s.Leave("a")
		s.Disconnect(true)

		var auth struct{ Token string }
		s.Auth(&auth)
		userID.Set(s, 7)
		id, ok := userID.Of(s)
		log.Print(answer, err, id, ok, s.Rooms(), s.Recovered(), s.Connected(), s.Namespace().Name())
		log.Print(s.Handshake().Query["room"], s.Header("User-Agent"), s.Handshake().Address, s.Conn().ID())
	})
}

package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/engineio"
	"posthouse/socketio/parser"
)

func Example() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		_ = s.Join("lobby")
		s.On("chat", func(e *socketio.Event) {
			var text string
			if err := e.Bind(&text); err != nil {
				return // the client's mistake
			}
			_ = io.To("lobby").Emit("chat", s.ID(), text)
		})
		s.OnDisconnect(func(reason socketio.Reason) {
			_ = io.To("lobby").Emit("left", s.ID(), reason)
		})
	})
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	_ = &http.Server{Addr: "127.0.0.1:3000", Handler: mux}
	fmt.Println(io.Name())
	_ = io.Shutdown(context.Background())
	// Output: /
}

func ExampleServer() {
	io := socketio.NewServer(nil)
	admin := io.Of("/admin") // a second namespace
	admin.OnConnection(func(s *socketio.Socket) { _ = s.Emit("welcome") })
	io.OnNamespace(func(n *socketio.Namespace) { fmt.Println("made", n.Name()) })
	io.Of("chat") // the slash is added
	_ = io.Shutdown(context.Background())
	// Output: made /chat
}

func ExampleOptions() {
	io := socketio.NewServer(&socketio.Options{
		Engine: engineio.Options{
			PingInterval: 10 * time.Second,
			CORS:         &engineio.CORS{Origins: []string{"https://app.example.com"}, Credentials: true},
			AllowEIO3:    true, // clients of Socket.IO v2
		},
		Codec:    parser.MessagePack(nil), // for clients with socket.io-msgpack-parser
		Recovery: &socketio.Recovery{MaxDisconnection: time.Minute},
		Bundles:  os.DirFS("node_modules/socket.io/client-dist"), // /socket.io/socket.io.min.js and the others
		Limits:   socketio.Limits{Rooms: 1000},
	})
	_ = io.Shutdown(context.Background())
}

func ExampleMiddleware() {
	io := socketio.NewServer(nil)
	user := socketio.NewKey[string]("user")
	var login socketio.Middleware = func(ctx context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth(&auth); err != nil || auth.Token == "" {
			return &socketio.ConnectError{Message: "not authorized", Data: map[string]string{"hint": "log in"}}
		}
		user.Set(s, "the owner of "+auth.Token) // ctx bounds a look-up: it ends when the client leaves
		return nil
	}
	io.Of("/members").Use(login)
}

func ExampleNamespace() {
	io := socketio.NewServer(nil)
	chat := io.Of("/chat")
	// Shared by all sockets of the namespace: nothing is kept per socket.
	chat.OnEvent("typing", func(e *socketio.Event) {
		_ = e.Socket().Broadcast().Volatile().Emit("typing", e.Args())
	})
	_ = chat.Emit("news", "to everybody in /chat")
}

func ExampleServer_OfRegexp() {
	io := socketio.NewServer(nil)
	games := io.OfRegexp(regexp.MustCompile(`^/game-\d+$`))
	games.OnConnection(func(s *socketio.Socket) {
		_ = s.Emit("welcome to", s.Namespace().Name())
	})
	_ = games.Emit("maintenance", "all games pause at noon")
}

func ExampleServer_OfFunc() {
	io := socketio.NewServer(nil)
	io.OfFunc(func(ctx context.Context, name string, auth json.RawMessage) bool {
		return strings.HasPrefix(name, "/tenant-") && len(auth) > 0
	})
}

func ExampleEvent_Bind() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		// socket.emit("upload", "cat.png", {tags: ["cat"]}, buffer, callback)
		s.On("upload", func(e *socketio.Event) {
			var name string
			var meta struct{ Tags []string }
			var data []byte // binary
			if err := e.Bind(&name, &meta, &data); err != nil {
				_ = e.Ack(map[string]string{"error": "what is that?"})
				return
			}
			_ = e.Ack(map[string]int{"size": len(data)})
		})
	})
}

func ExampleHandle() {
	io := socketio.NewServer(nil)
	type order struct {
		Item string
		N    int
	}
	type receipt struct {
		ID string `json:"id"`
	}
	socketio.Handle(io, "order", func(ctx context.Context, o order) (receipt, error) {
		if o.N < 1 {
			return receipt{}, &socketio.EventError{Code: "bad_amount", Message: "order at least one"}
		}
		return receipt{ID: socketio.FromContext(ctx).ID() + "/" + o.Item}, nil
	})
}

func ExampleCall() {
	ask := func(ctx context.Context, s *socketio.Socket) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return socketio.Call[bool](ctx, s, "confirm", "Delete everything?")
	}
	_ = ask
}

func ExampleSocket_EmitWithAck() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		answer, err := s.Timeout(time.Second).EmitWithAck(s.Context(), "version?")
		if err != nil {
			return // ErrTimeout, or the client is gone
		}
		var version string
		_ = answer.Bind(&version)
	})
}

func ExampleBroadcastOperator() {
	io := socketio.NewServer(nil)
	room := io.To("room 101") // a value: keep it, share it, refine it
	_ = room.Emit("news", 1)
	_ = room.Except("muted").Volatile().Emit("position", 1.5, 2.5)

	ctx := context.Background()
	sockets, err := room.FetchSockets(ctx) // of all nodes
	if err != nil {
		log.Print(err)
	}
	for _, s := range sockets {
		_ = s.Join(ctx, "room 102")
	}
	_ = room.DisconnectSockets(ctx, false)
}

func ExampleKey() {
	userID := socketio.NewKey[int]("userID") // usually a package variable
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		userID.Set(s, 7)
		id, ok := userID.Of(s)
		_, _ = id, ok
	})
	sockets, _ := io.FetchSockets(context.Background())
	for _, remote := range sockets {
		id, ok := userID.In(remote) // came as JSON from another node
		_, _ = id, ok
	}
}

func ExampleSocket_AfterFlush() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		_ = s.Emit("token", "…")
		s.AfterFlush(func() { s.Disconnect(true) }) // written, not necessarily seen
	})
}

func ExampleRoomHooks() {
	io := socketio.NewServer(nil)
	io.Rooms().OnRooms(socketio.RoomHooks{
		Create: func(room string) { log.Print("first one in ", room) },
		Delete: func(room string) { log.Print("last one left ", room) },
	})
}

func ExampleNamespace_OnServerSideEmit() {
	io := socketio.NewServer(nil) // with an adapter for clusters
	io.OnServerSideEmit("load?", func(e *socketio.ServerSideEvent) { _ = e.Ack(0.7) })
	loads, err := io.ServerSideEmitWithAck(context.Background(), "load?")
	_, _ = loads, err
}

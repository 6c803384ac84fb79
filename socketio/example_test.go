package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
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
		s.On("join", func(e *socketio.Event) {
			var room string
			if e.Bind(&room) == nil { // otherwise the client sent no text
				s.Join(room)
				e.Ack(s.Rooms())
			}
		})
		s.On("chat", func(e *socketio.Event) {
			var room, text string
			if e.Bind(&room, &text) == nil && s.InRoom(room) {
				io.To(room).Emit("chat", s.ID(), text)
			}
		})
		s.OnDisconnecting(func(reason socketio.Reason) {
			s.To(s.Rooms()...).Emit("left", s.ID(), reason)
		})
	})
	http.Handle("/socket.io/", io)
	log.Fatal(http.ListenAndServe("localhost:3000", nil))
}

func ExampleServer() {
	io := socketio.NewServer(nil) // starts nothing
	admin := io.Of("/admin")      // a second namespace
	admin.OnConnection(func(s *socketio.Socket) { s.Emit("welcome") })
	io.OnNamespace(func(n *socketio.Namespace) { fmt.Println("made", n.Name()) })
	io.Of("chat") // the slash is added
	io.Shutdown(context.Background())
	// Output: made /chat
}

func ExampleServer_Serve() {
	io := socketio.NewServer(nil)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/", http.FileServer(http.Dir("public")))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	listener, err := net.Listen("tcp", "localhost:3000")
	if err != nil {
		log.Fatal(err)
	}
	// Instead of server.Serve(listener): the pages go to server.
	log.Fatal(io.Serve(listener, server))
}

func ExampleServer_ServeTLS() {
	io := socketio.NewServer(nil)
	listener, err := net.Listen("tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(io.ServeTLS(listener, &http.Server{Handler: io}, "cert.pem", "key.pem"))
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
	io.Shutdown(context.Background())
}

func ExampleNamespace() {
	io := socketio.NewServer(nil)
	chat := io.Of("/chat")
	// Shared by all sockets of the namespace: nothing is kept per socket.
	chat.OnEvent("typing", func(e *socketio.Event) {
		e.Socket().Broadcast().Volatile().Emit("typing", e.Args())
	})
	chat.Emit("news", "to everybody in /chat")
}

func ExampleServer_OfRegexp() {
	io := socketio.NewServer(nil)
	games := io.OfRegexp(regexp.MustCompile(`^/game-\d+$`))
	games.OnConnection(func(s *socketio.Socket) {
		s.Emit("welcome to", s.Namespace().Name())
	})
	games.Emit("maintenance", "all games pause at noon")
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
				e.Ack(map[string]string{"error": "what is that?"})
				return
			}
			e.Ack(map[string]int{"size": len(data)})
		})
	})
}

func ExampleCall() {
	confirm := func(ctx context.Context, client socketio.Caller) (bool, error) { // a *Socket, say
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return socketio.Call[bool](ctx, client, "confirm", "Delete everything?")
	}
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.On("delete", func(e *socketio.Event) {
			sure, err := confirm(e.Context(), s)
			if err != nil || !sure {
				return // ErrTimeout, the client is gone, or it said no
			}
			e.Ack("deleted")
		})
	})
}

func ExampleSocket_EmitWithAck() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		answer, err := s.Timeout(time.Second).EmitWithAck(s.Context(), "version?")
		if err != nil {
			return // ErrTimeout, or the client is gone
		}
		var version string
		answer.Bind(&version)
	})
}

func ExampleBroadcastOperator() {
	io := socketio.NewServer(nil)
	room := io.To("room 101") // a value: keep it, share it, refine it
	room.Emit("news", 1)
	room.Except("muted").Volatile().Emit("position", 1.5, 2.5)

	ctx := context.Background()
	sockets, err := room.FetchSockets(ctx) // of all nodes
	if err != nil {
		log.Print(err)
	}
	for _, s := range sockets {
		s.Join(ctx, "room 102")
	}
	room.DisconnectSockets(ctx, false)
}

func ExampleKey() {
	userID := socketio.NewKey[int]("userID") // usually a package variable
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		userID.Set(s, 7)
		if id, ok := userID.Of(s); ok {
			s.Emit("you are", id)
		}
	})
	sockets, _ := io.FetchSockets(context.Background())
	for _, remote := range sockets {
		if id, ok := userID.In(remote); ok { // came as JSON from another node
			log.Print(remote.ID(), " is user ", id)
		}
	}
}

func ExampleSocket_AfterFlush() {
	io := socketio.NewServer(nil)
	io.OnConnection(func(s *socketio.Socket) {
		s.Emit("token", "…")
		s.AfterFlush(func() { s.Disconnect(true) }) // written, not necessarily seen
	})
}

func ExampleRoomHooks() {
	io := socketio.NewServer(nil)
	io.LocalAdapter().OnRooms(socketio.RoomHooks{
		Create: func(room string) { log.Print("first one in ", room) },
		Delete: func(room string) { log.Print("last one left ", room) },
	})
}

func ExampleNamespace_OnServerSideEmit() {
	io := socketio.NewServer(nil) // with an adapter for clusters
	io.OnServerSideEmit("load?", func(e *socketio.ServerSideEvent) { e.Ack(0.7) })
	loads, err := io.ServerSideEmitWithAck(context.Background(), "load?")
	_, _ = loads, err
}

func ExampleServer_OfPattern() {
	io := socketio.NewServer(nil)
	io.OfPattern("/team/{id}").OnConnection(func(s *socketio.Socket) {
		s.Emit("welcome", s.Namespace().Param("id"))
	})
	fmt.Println(io.Of("/team/7").Param("id"), io.Of("/team/7").Len())
	for _, n := range io.Namespaces() {
		fmt.Printf("%s %q\n", n.Name(), n.Pattern())
	}
	io.Shutdown(context.Background())
	// Output:
	// 7 0
	// / ""
	// /team/7 "/team/{id}"
}

func ExampleNewPrivateKey() {
	token := socketio.NewPrivateKey[string]("token") // no other node sees it
	user := socketio.NewKey[string]("user")
	io := socketio.NewServer(&socketio.Options{Recovery: &socketio.Recovery{}})
	io.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token, User string }
		if s.Auth(&auth) != nil {
			return &socketio.ConnectError{Message: "unauthorized"}
		}
		if was, ok := user.Of(s); ok && was != auth.User {
			return socketio.ErrNewSession // another user of the same browser
		}
		token.Set(s, auth.Token)
		user.Set(s, auth.User)
		return nil
	})
	io.Shutdown(context.Background())
}

// Packages that speak the protocol themselves, such as socketio/client, encode with these.
func ExampleAppendEvent() {
	event, _, err := socketio.AppendEvent(nil, "say", "hello", 7)
	fmt.Println(string(event), err)
	ack, _, err := socketio.AppendAck(nil, true)
	fmt.Println(string(ack), err)
	fmt.Println(socketio.ArgsOf([]byte(`"hello",7`), nil).Len())
	answer, known := socketio.ErrorAnswer(&socketio.EventError{Code: "full", Message: "no seats"})
	fmt.Println(answer, known)
	// Output:
	// ["say","hello",7] <nil>
	// [true] <nil>
	// 2
	// map[error:map[code:full message:no seats]] true
}

func ExampleServer_Stats() {
	io := socketio.NewServer(&socketio.Options{Observer: &socketio.Observer{ // nil: nothing is timed
		EventHandled: func(e *socketio.Event, start time.Time) { log.Println(e.Name(), time.Since(start)) },
	}})
	var st socketio.Stats = io.Stats()
	var main socketio.NamespaceStats = st.Namespaces["/"]
	fmt.Println(main.Sockets, main.EventsIn, st.Engine.BytesOut, io.WaitingEvents())
	// Output: 0 0 0 0
}

func ExampleEventType() {
	io := socketio.NewServer(nil)
	socketio.Handle(io, "add", func(_ context.Context, n int) (string, error) { return "", nil })
	var t socketio.EventType
	for _, t = range io.EventTypes() {
		fmt.Println(t.Name, t.Args, t.Answer)
	}
	// Output: add [int] string
}

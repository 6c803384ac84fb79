// Package socketio is a Socket.IO server: protocol revision 5, for the clients
// of Socket.IO v3 and v4 and, with engineio.Options.AllowEIO3, of v2. It is for
// Go programs whose pages or apps use socket.io-client.
//
// A Server is an http.Handler to be mounted at "/socket.io/":
//
//	io := socketio.NewServer(nil)
//	io.OnConnection(func(s *socketio.Socket) {
//		s.On("chat", func(e *socketio.Event) {
//			var text string
//			if e.Bind(&text) == nil {
//				io.To("lobby").Emit("chat", s.ID(), text)
//			}
//		})
//		s.Join("lobby")
//	})
//	http.Handle("/socket.io/", io)
//
// # What is what
//
// A client opens one connection and joins namespaces on it; each membership is
// a Socket. Sockets join rooms, and a BroadcastOperator (io.To("room")) speaks to
// those in them. A Namespace reaches its sockets through an Adapter: in memory by
// default, through Redis with package adapter, so that a broadcast reaches the
// sockets of all servers.
//
// Arguments of events stay JSON until Event.Bind decodes them into typed
// variables; a []byte anywhere in a value is a binary attachment. Handle and Call
// do both in one step. What a client sends is never a reason to panic: a wrong
// type is an error of Bind.
//
// # Order and pressure
//
// The events of one socket are handled one at a time, in their order, on a
// goroutine that exists only while there are some: the connection functions
// first, the disconnect functions last. A handler may block; then only its
// client waits, and when its mailbox is full (Limits.Events) the connection is no
// longer read. Acknowledgements do not pass through the mailbox: a handler can
// wait for one.
//
// Sending never blocks. A client that does not read is disconnected by the
// engine, see engineio.Options.MaxBuffered.
//
// A panic in a function that runs for a socket (a handler, a middleware, a
// callback) is logged with its stack and ends the connection of that socket, with
// the reason ReasonServerClose for all its namespaces: to the client the transport
// is lost, so that it connects again, as it would after the crash of a Node server.
// Events that the socket has not handled yet are dropped, and it is not recovered. A panic in a
// function that belongs to no connection (OnServerSideEmit, RoomHooks) is only
// logged; one of Options.ConnContext or engineio.Options.AllowRequest fails that request.
//
// The server owns every goroutine; Shutdown ends and waits for them. Contexts
// of sockets end with them.
//
// # For those who know it from Node
//
//	new Server(httpServer, opts)         NewServer(&Options{…}), mounted as http.Handler
//	io.of("/x"), io.of(/re/), io.of(fn)  Of, OfRegexp, OfFunc; OfPattern("/team/{id}") with Namespace.Param
//	io._nsps, io.sockets.sockets.size    Namespaces(), Len()
//	io.on("connection", (s) => …)        OnConnection(func(s *Socket) {…})
//	io.use((s, next) => next(err))       Use(func(ctx, s) error): return the error
//	err.data                             &ConnectError{Message, Data}
//	s.on("e", (a, b, cb) => cb(x))       s.On("e", func(e *Event) { e.Bind(&a, &b); e.Ack(x) })
//	s.emit("e", a)                       s.Emit("e", a)
//	await s.timeout(ms).emitWithAck(…)   s.Timeout(d).EmitWithAck(ctx, …), or Call[T](ctx, s, …)
//	s.emit("e", a, (x) => …)             s.EmitAck("e", func(args Args, err error) {…}, a)
//	s.volatile.emit, s.compress(false)   s.Volatile().Emit, s.Compress(false).Emit
//	s.broadcast.emit, s.to("r")          s.Broadcast().Emit, s.To("r")
//	io.to("a").except("b").emit          io.To("a").Except("b").Emit
//	s.data.name = x                      NewKey[T]("name").Set(s, x)
//	s.on("disconnect", (reason) => …)    s.OnDisconnect(func(reason Reason) {…})
//	s.on("disconnecting"), s.on("error") OnDisconnecting, OnError
//	s.use(([ev, ...args], next) => …)    s.Use(func(e *Event) error)
//	s.onAny, s.prependAny, s.onAnyOutgoing   OnAny, PrependAny, OnAnyOutgoing
//	s.handshake, s.rooms, s.recovered    Handshake(), Rooms(), Recovered()
//	s.conn.once("drain")                 s.AfterFlush(fn)
//	s.conn.on("upgrade", …)              OnUpgrade(func(transport string) {…})
//	io.fetchSockets(), io.socketsJoin    FetchSockets(ctx), SocketsJoin(ctx, …)
//	io.serverSideEmit(…)                 ServerSideEmit, ServerSideEmitWithAck, OnServerSideEmit
//	nsp.adapter.on("create-room", …)     LocalAdapter().OnRooms(RoomHooks{Create: …})
//	io.on("new_namespace", …)            OnNamespace
//	connectionStateRecovery: {…}         Options.Recovery; the middlewares run unless SkipMiddlewares
//	adapter: createAdapter(pub, sub)     Options.NewAdapter: adapter.Redis(rdb, nil)
//	parser: require("…msgpack-parser")   Options.Codec: parser.MessagePack(nil)
//	pingInterval, cors, transports, …    Options.Engine
//	serveClient                          Options.Bundles, with clientdist.FS()
//	io.close()                           Shutdown(ctx)
//
// The differences on purpose: modifiers do not change the socket but return a
// value; errors of middlewares reach the client only as *ConnectError; Limits are
// on; empty dynamic namespaces are forgotten; FetchSockets
// tells no token of a handshake (Options.PrivateHandshake); a recovered session is used up; a client
// recovers before it received an event, and while its old connection seems alive.
package socketio

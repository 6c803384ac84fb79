// Package engineio is an Engine.IO server: sessions of messages over HTTP
// long-polling and WebSocket (and WebTransport, see package webtransport), for
// the clients of revision 4 and, with Options.AllowEIO3, of revision 3. It is the
// floor below socketio, and of use on its own.
//
// A [Server] is an http.Handler. For each new session it calls Options.Accept,
// which returns the [Handler] of that session; the handler takes what comes, and
// sends through its [Session]. The names of Node's engine.io became Go shapes:
//
//	engine.on("connection")     Options.Accept
//	socket.on("message")        Handler.Receive
//	socket.on("close")          Handler.Closed
//	socket.on("upgrade")        UpgradeHandler.Upgraded
//	socket.send(data, cb)       Session.Send, Session.AfterFlush
//	socket.close(discard)       Session.Close, Session.Discard
//	engine.use(fn)              Options.Middlewares, RefuseRequest
//	"connection_error"          Options.OnConnectionError
//	engine.close()              Server.Shutdown, or that of the http.Server behind Serve
//
// # Order and pressure
//
// The calls of one handler never overlap, Receive calls come in the order of the
// wire, also across an upgrade, and Closed comes last. Sending never blocks: what
// a transport cannot take waits. A peer is slow, and closed with [ErrSlow], when more
// than Options.MaxBuffered bytes wait and it takes nothing for Options.WriteTimeout,
// or when more than Options.MaxBacklog wait. A handler that has enough returns [ErrPause];
// then nothing is read until [Session.Resume], and TCP holds the peer back.
//
// # Stricter than Node
//
// On purpose: requests from foreign origins are refused unless CORS (or
// Options.AnyOrigin) allows them; JSONP is off; session ids are wholly random;
// bodies, payloads and control packets have limits in time and number.
//
// # Serving
//
// Any http.Server may serve a Server's handler. [Server.Serve] does the same with
// a listener and an http.Server, but plain requests go around net/http on Linux: the
// connections wait in an event loop, without a goroutine or a buffer of their own; a
// request is one read and its answer one write. Everything else on these connections
// (HTTP/1.0, chunked bodies, heads in pieces, what is unusual) is handed to the
// http.Server. Shutdown of the http.Server ends the sessions too, and waits for the
// requests of both paths.
//
// # Goroutines
//
// A WebSocket leaves net/http after its handshake, and holds no buffer while it
// waits. On Linux those over plain TCP are read by a few goroutines, at most
// GOMAXPROCS of them, which also finish what slow peers did not take, and the
// connections behind Serve on which requests come by one more, so that the requests
// of a session begin in the order in which they came; each exists while it has
// connections. Any other (TLS, other systems) has one goroutine that reads it and,
// only while the peer is slow, another one that writes. Receive runs on the goroutine that reads,
// which is why it must not block. A poll is the goroutine of its request.
// A few timers serve the heartbeats of all sessions. A session's Closed and the
// functions of AfterFlush run on goroutines of their own, and all sessions of a
// server share those that write what SendSoon and bursts queued, one for each core at
// most, while there is any. These
// three, and the requests behind Serve, get theirs from a pool, whose idle ones end within two seconds.
// [Server.Shutdown] waits for all of them, except the requests that belong to
// net/http.
package engineio

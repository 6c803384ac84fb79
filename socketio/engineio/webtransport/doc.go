// Package webtransport lets an Engine.IO or Socket.IO server be reached over
// WebTransport (HTTP/3). It is a package of its own so that a program that does
// not import it does not carry QUIC.
//
// A [Server] owns a UDP socket's QUIC connections: its Serve goroutine accepts
// them, each has the goroutines of the HTTP/3 library, and each session has two
// that refuse further streams and close the session at its end. Shutdown waits
// for all of them. What is said over a session belongs to the engine, which
// treats it as it treats a WebSocket.
//
// Node's `io.engine.onWebTransportSession` skips the middlewares; here a session
// passes the same gate as the other transports (see engineio.Server.External).
package webtransport

// Package client is the client side of Engine.IO: one connection to a server over
// long-polling, a WebSocket, polling that is upgraded to a WebSocket, or WebTransport. It
// is for package socketio/client, and for programs that speak Engine.IO without
// Socket.IO, as npm's engine.io-client is.
//
// [Dial] makes the handshake. [Conn.Serve] then reads on the goroutine of its caller and
// returns when the connection has ended: an idle WebSocket has that goroutine and no
// other, and no buffer unless it is of TLS. (An idle poll has the two of net/http as
// well.) Sending never blocks: what waits is bounded by Options.MaxBuffered, and is
// written by a goroutine that exists only while something waits; [Conn.SendNow] writes
// what the operating system takes at once. Serve waits for every goroutine of its
// connection.
//
// The connection does not come back by itself: reconnection is the business of package
// socketio/client. Nothing is compressed, so that no few bytes of a server become many.
package client

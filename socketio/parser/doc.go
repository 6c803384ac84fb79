// Package parser turns Socket.IO packets into Engine.IO messages and back. It is
// for package socketio, for the Redis adapters, and for authors of a codec
// of their own.
//
// Everything is done on text. A decoder checks a payload once and hands it on as
// JSON; a server that relays or acknowledges it splices the text. Go values are
// built only where a handler asks for them (Bind) and taken apart only where the
// application sends them (AppendArgs).
//
// The package does no I/O, starts no goroutine and keeps no state but that of a
// decoder, which belongs to one connection.
//
// The protocol is revision 5; comments cite docs/protocol.md. The counterpart in Node is socket.io-parser.
package parser

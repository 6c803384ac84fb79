// Package tlspoll lets an event loop (package netpoll) drive the TLS connections of
// package crypto/tls: reads and writes do not block, and an idle connection needs
// neither a goroutine nor a buffer of its own.
//
// A Listener puts a Conn below every TLS connection. The handshake, and HTTP, use it as
// any other connection. Then Detach turns it into a Stream: the Conn is from then on the
// descriptor that a loop watches, and tells crypto/tls, with a temporary error, when no
// byte is there. crypto/tls keeps the part of a record that it has read, and goes on with
// it when it is called again. A temporary error of a write would be final for it, so a
// write always succeeds: the Stream keeps what the kernel does not take.
//
// The package knows nothing of HTTP and Engine.IO. It starts no goroutines.
package tlspoll

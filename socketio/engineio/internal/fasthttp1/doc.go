// Package fasthttp1 reads and answers the plain HTTP/1.1 requests of Socket.IO
// clients, at a fraction of what package net/http needs: one allocation holds the
// whole text of a request, and an answer is one write.
//
// It is deliberately picky. A request that is not complete in what was read, or
// that has anything out of the ordinary, is refused with ErrUnusual: the caller
// then gives the connection, with the bytes it has, to net/http, whose rules hold.
// What Parse accepts, http.ReadRequest reads the same way; a fuzz test sees to it.
//
// The package does no I/O of its own and starts no goroutine.
package fasthttp1

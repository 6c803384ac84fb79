// Package fasthttp1 serves plain HTTP/1.1 requests on event loops, at a fraction of
// what package net/http needs: an idle connection has no goroutine and no buffer, one
// allocation holds the whole text of a request, and an answer is one write.
//
// [Serve] stands in front of an http.Server and uses its settings. It serves only what
// is plain. A request whose head is not complete in what was read, or that has anything
// out of the ordinary, is refused by [Parse] with [ErrUnusual]; the connection then goes,
// with the bytes that were read, to the http.Server, whose rules hold. A body that comes
// in pieces is waited for within bounds. What Parse accepts, http.ReadRequest reads the
// same way; a fuzz test sees to it.
//
// # A connection
//
// The Listener accepts a connection and adds it, as a Conn, to the loop. The loop's
// goroutine reads and parses a request and gives it to a worker, which calls the
// handler and writes the answer; meanwhile the loop only watches. Requests are found by
// one goroutine, so their order is known (Config.Arrived). A Conn ends in one of four
// ways: closed; given to net/http; given to a handler by [Response.Hijack]; or given,
// descriptor and all, to a netpoll.Successor by [Response.Upgrade].
//
// # Goroutines and locks
//
// Serve waits for the one goroutine that accepts. The loop and the workers belong to the
// caller, who waits for the loop to have no connections left, and so for the requests.
// Conn.mu and Listener.mu are leaves; the loop's lock is taken before them.
//
// The package knows nothing of Engine.IO. Without it, net/http serves the same requests:
// remove the folder and the call in engineio.Server.Serve.
package fasthttp1

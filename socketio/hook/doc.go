// Package hook hands the connections and events of clients to a back end over HTTP
// (docs/realtime.md §4), for back ends that are not written in Go: each connect, event
// and disconnect is a signed POST, and its answer decides, acknowledges, emits, joins
// and leaves.
//
//	client, err := hook.New(&hook.Options{
//		URL:     "http://127.0.0.1:8080/socketio",
//		Secrets: secrets, // hook.ParseSecrets
//		Events:  []string{"connect", "disconnect", "*"},
//	})
//	client.Attach(io.Of("/app"))
//	defer client.Shutdown(ctx)
//
// Requests carry the signature of the Standard Webhooks specification, so that the
// libraries of many languages verify them.
//
// # Order and pressure
//
// The events of one socket are posted one after the other, by the goroutine that handles
// its events: while a post is under way the next events of the socket wait in its
// mailbox, whose bounds are those of package socketio. Different sockets are posted in
// parallel up to Options.Concurrency; beyond it the answer is "unavailable" at once, and
// so it is for five seconds after five failures in a row. Disconnects wait in a queue of
// 10 000, and are tried again for ten minutes.
//
// # Goroutines
//
// A Client runs goroutines only while disconnects wait to be posted. Shutdown waits for
// them.
package hook

// Package admin is the server side of the official Socket.IO Admin UI (npm
// @socket.io/admin-ui): a namespace on which its page sees the sockets, rooms and events
// of a cluster and acts on them. It is for operators of servers that use package
// socketio; Node servers with instrument() may be in the same cluster. docs/admin.md says
// how to turn it on safely, and what goes over the wire.
//
//	_, err := admin.Instrument(io, &admin.Options{
//		Username: "admin", PasswordHash: "$2b$10$…", // posthouse admin hash
//	})
//
// # What it costs
//
// Statistics go out every two seconds. Everything else is sent only while an
// administrator is connected to this node or another, at most Options.Budget messages a
// second; until then the namespaces have no watchers. Nothing here waits for a socket,
// a handler or another node while it holds one up.
//
// # Goroutines
//
// An Admin owns a goroutine for the statistics, one that asks other nodes for
// administrators, one that sends, only while there is something to send, and one for
// each administrator whose page is being filled. Admin.Close ends them and waits.
package admin

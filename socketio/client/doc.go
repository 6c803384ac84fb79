// Package client is a Socket.IO client for Go programs: what npm's socket.io-client is to
// browsers, for back ends, tests, command line tools and bots. It speaks to Socket.IO 3
// and 4 servers, and with Options.EIO = 3 to Socket.IO 2.
//
//	s, err := client.New("http://localhost:3000", nil)
//	s.On("chat", func(e *client.Event) { … })
//	err = s.Connect(ctx)
//	err = s.Emit("chat", "hello")
//
// A [Manager] owns one connection, and comes back with a growing delay when it is lost;
// the [Socket] of each namespace is multiplexed on it. A socket is one for its whole life:
// it keeps its handlers across connections, keeps what is emitted meanwhile in a bounded
// buffer, and resumes its session where the server offers that.
//
// The handlers of one socket run one at a time, in order, on a goroutine that exists only
// while there is something to handle. Apart from those a connected Manager has one
// goroutine, which reads. Manager.Close ends all of them and waits.
//
// Arguments, typed handlers and errors are those of package socketio: [socketio.Args],
// [socketio.EventError], [socketio.ErrTimeout]. docs/client.md has a table from Node's
// names to these.
package client

// Package presence knows who is in a room, over all nodes (docs/realtime.md §6). It is for
// pages that show the people who read or write the same thing.
//
//	here, err := presence.New(&presence.Options{Rooms: rooms, Store: adapter.NewPresence(rdb, nil)})
//	here.Apply(io.Of("/app"))
//	go here.Run(ctx)
//
// A user is in a room from the first connection in it to the last, whichever nodes hold
// them; a page that is loaded again keeps its user there. Members get the event "presence"
// with who came and who left, and ask with the event "presence" for the whole list.
//
// Each node writes what it knows under a lease: a node that is killed takes its users with
// it when the lease ends. Run owns the one goroutine; nothing is written without it.
package presence

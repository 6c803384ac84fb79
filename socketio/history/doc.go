// Package history keeps the last events of rooms, for clients that join later or come
// back (docs/realtime.md §7). It is for programs whose pages show what was said before
// they were opened.
//
//	kept, err := history.New(&history.Options{Rooms: rooms, Events: 100, Age: 24 * time.Hour})
//	kept.Apply(io.Of("/app"))
//	io.Of("/app").To("topic:1").Record().Emit("said", "hello")
//
// Where events are kept is the business of the namespace's adapter: those of package
// adapter keep them in Redis streams, for all nodes; any other means the memory of this
// node. A join with history has no gap and no repeat: what is sent to the room is held
// back while the snapshot is read, and what the snapshot holds is dropped by its id.
//
// History starts no goroutine.
package history

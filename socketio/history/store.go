package history

import (
	"context"
	"time"

	"posthouse/socketio"
)

// Store keeps the events of the rooms of one namespace. Safe for concurrent use.
type Store interface {
	// Last returns the id of a room's newest event; the zero id without one. It counts
	// everything that this node has sent before the call.
	Last(ctx context.Context, room string) (socketio.RecordID, error)
	// Read returns events of a room.
	Read(ctx context.Context, q Query) (*Slice, error)
}

// Backend is an adapter that has a Store of its own. It settles the ids of what it
// broadcasts with BroadcastOptions.Recorded.
type Backend interface{ HistoryStore() Store }

// Query asks for the newest events of a room that are not after Until and not older
// than Age.
type Query struct {
	Room  string
	Until socketio.RecordID
	Limit int
	Age   time.Duration
}

// Slice is the answer to a Query.
type Slice struct {
	Items []Item // the oldest first
	More  bool   // older ones are kept
	Lost  bool   // older ones were there and are not kept any more
	Hole  bool   // one is missing among Items
}

// Item is one event as a Store has it.
type Item struct {
	ID    socketio.RecordID
	Entry []byte
}

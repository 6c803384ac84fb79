package presence

import (
	"context"
	"time"
)

// Store is what the nodes of a cluster share. Each node has its own, with its own lease;
// its methods are not called concurrently, but for Read.
type Store interface {
	// Renew holds the lease of this node. lapsed tells that the lease was not held until
	// now, at the first call too: what the node had written does not count any more.
	Renew(ctx context.Context) (lapsed bool, err error)
	// Write tells what this node knows. What is written again changes nothing.
	Write(ctx context.Context, changes []Change) error
	// Read returns the members of a room that nodes with a lease know.
	Read(ctx context.Context, room string) ([]Member, error)
	// Changed returns the rooms that users came to or left since the last call; all means
	// that any may have changed.
	Changed(ctx context.Context) (rooms []string, all bool, err error)
	// Sweep removes what nodes without a lease have written.
	Sweep(ctx context.Context) error
	// Lease is how long the store takes a node for alive that does not call Renew.
	Lease() time.Duration
}

// Change is what a node knows of one user in one room.
type Change struct {
	Room, User  string
	Since       time.Time
	Connections int  // 0: none now, but the user may be back at once
	Gone        bool // the user has left
	RoomEmpty   bool // with Gone: the node has no other user in the room
}

// Member is a user in a room.
type Member struct {
	User        string    `json:"user"`
	Since       time.Time `json:"since"`
	Connections int       `json:"connections" doc:"0 while a page is loaded again."`
}

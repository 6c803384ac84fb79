package socketio_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"time"

	"posthouse/socketio"
	"posthouse/socketio/parser"
)

// audited is an adapter that counts broadcasts; like every adapter it wraps the
// LocalAdapter, which owns the rooms.
type audited struct {
	*socketio.LocalAdapter
	broadcasts int
}

func (a *audited) Broadcast(ctx context.Context, p *parser.Packet, o socketio.BroadcastOptions) error {
	a.broadcasts++
	return a.LocalAdapter.Broadcast(ctx, p, o)
}

func ExampleAdapter() {
	var audit *audited
	var make socketio.NewAdapter = func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		audit = &audited{LocalAdapter: l}
		return audit, nil
	}
	io, err := socketio.New(&socketio.Options{NewAdapter: make})
	if err != nil {
		log.Fatal(err)
	}
	io.Emit("news")
	io.To("room 101").Emit("news")
	fmt.Println(audit.broadcasts)
	io.Shutdown(context.Background())
	// Output: 2
}

func ExampleLocal() {
	io := socketio.NewServer(nil)
	here := io.LocalAdapter() // the rooms of this node
	everywhere := socketio.BroadcastOptions{
		Rooms: []string{"a", "b"}, Except: []string{"c"},
		Flags: socketio.BroadcastFlags{Timeout: time.Second},
	}
	// A packet that arrives from another node is delivered with it:
	p := &parser.Packet{Type: parser.Event, Namespace: here.Namespace(), Data: []byte(`["news",1]`)}
	fmt.Println(here.Broadcast(context.Background(), p, everywhere))
	var details []socketio.SocketDetails
	details, _ = here.FetchSockets(context.Background(), everywhere)
	fmt.Println(len(details), here.Rooms(), here.HasRoom("a"))
	// Output:
	// <nil>
	// 0 [] false
}

func ExampleRecovery() {
	io := socketio.NewServer(&socketio.Options{
		Recovery: &socketio.Recovery{MaxDisconnection: 2 * time.Minute},
	})
	io.OnConnection(func(s *socketio.Socket) {
		if s.Recovered() {
			return // its rooms and data are back, and it got what it missed
		}
		s.Join("news")
	})
}

func ExampleOptions_recoveryByNamespace() {
	io := socketio.NewServer(&socketio.Options{
		RecoveryByNamespace: map[string]*socketio.Recovery{
			"/board":     {MaxDisconnection: 2 * time.Minute},
			"/team/{id}": {MaxDisconnection: 10 * time.Second},
		},
	})
	io.Of("/board").OnConnection(func(s *socketio.Socket) { fmt.Println(s.Recovered()) })
	io.OfPattern("/team/{id}")
	io.Of("/login") // keeps no sessions and no packets: what it sends is secret
}

// kept is a SessionStore for one process; adapter.RedisStreams is one for many.
type kept map[string]socketio.RecoverableSession

func (k kept) PersistSession(_ context.Context, s socketio.RecoverableSession) error {
	k[s.PID] = s
	return nil
}

func (k kept) RestoreSession(_ context.Context, pid, offset string) (*socketio.RestoredSession, error) {
	s, ok := k[pid]
	if !ok || offset == "" {
		return nil, nil // the client gets a fresh session
	}
	delete(k, pid) // it comes back once
	return &socketio.RestoredSession{RecoverableSession: s, Missed: nil}, nil
}

func (k kept) SessionPosition() string { return "" } // what is missed is not known here

func ExampleSessionStore() {
	var store socketio.SessionStore = kept{}
	ctx := context.Background()
	store.PersistSession(ctx, socketio.RecoverableSession{SID: "s1", PID: "p1", Rooms: []string{"s1", "news"}})
	s, err := store.RestoreSession(ctx, "p1", "offset of the last event")
	fmt.Println(s.SID, s.Rooms, err)
	// Output: s1 [s1 news] <nil>
}

// current is a SessionWatcher: a store that keeps the sessions of connected sockets as well.
type current struct {
	kept
	local *socketio.LocalAdapter
}

// SessionChanged notes the change; a goroutine of the store would write it.
func (c current) SessionChanged(digest [sha256.Size]byte) {
	if s, ok := c.local.CurrentSession(digest); ok {
		fmt.Println("write", s.SID, s.Rooms)
	}
}

// EndSession is called before the client is told of its end: a store of many nodes writes here,
// from a goroutine of its own, that they must refuse the session.
func (c current) EndSession(digest [sha256.Size]byte, told func(refused bool)) { told(true) }

func ExampleSessionWatcher() {
	io := socketio.NewServer(nil)
	var watcher socketio.SessionWatcher = current{kept{}, io.Of("/").LocalAdapter()}
	watcher.SessionChanged(sha256.Sum256([]byte("private id"))) // of no socket
	fmt.Println(len(io.Of("/").LocalAdapter().CurrentSessions()))
	// Output: 0
}

// channels is a RoomWatcher: an adapter that has one channel for each room.
type channels struct{ *socketio.LocalAdapter }

func (c channels) RoomCreated(room string, private bool) {
	if !private { // not a socket's own
		fmt.Println("subscribe", room)
	}
}

func (c channels) RoomDeleted(room string, private bool) {}

func ExampleRoomWatcher() {
	var watcher socketio.RoomWatcher = channels{}
	watcher.RoomCreated("room 101", false)
	// Output: subscribe room 101
}

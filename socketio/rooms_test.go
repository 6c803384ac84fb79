package socketio_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// watched is an adapter that hears of rooms, as the sharded one does.
type watched struct {
	*socketio.LocalAdapter
	log chan string
}

func (w watched) RoomCreated(room string, private bool) {
	w.log <- fmt.Sprintf("watch create %s %t %t", room, private, w.HasRoom(room))
}
func (w watched) RoomDeleted(room string, private bool) {
	w.log <- fmt.Sprintf("watch delete %s %t", room, private)
}

func TestRoomEvents(t *testing.T) {
	log := make(chan string, 64)
	srv := serve(t, &socketio.Options{NewAdapter: func(l *socketio.LocalAdapter) (socketio.Adapter, error) {
		if l.Namespace() != "/" {
			return l, nil
		}
		return watched{l, log}, nil
	}})
	srv.LocalAdapter().OnRooms(socketio.RoomHooks{
		Create: func(room string) { log <- "create " + room },
		Delete: func(room string) { log <- "delete " + room },
		Join:   func(room, id string) { log <- "join " + room + " " + id },
		Leave:  func(room, id string) { log <- "leave " + room + " " + id },
	})
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	noError(t, s.Join("r", "r"))
	noError(t, s.Join("r"))
	s.Leave("r")
	s.Leave("r")
	noError(t, s.Join("q"))
	c.Disconnect()
	id := c.ID
	for _, w := range []string{
		"watch create " + id + " true true", "create " + id, "join " + id + " " + id,
		"watch create r false true", "create r", "join r " + id,
		"leave r " + id, "watch delete r false", "delete r",
		"watch create q false true", "create q", "join q " + id,
		"leave q " + id, "watch delete q false", "delete q",
		"leave " + id + " " + id, "watch delete " + id + " true", "delete " + id,
	} {
		want(t, receive(t, log), w)
	}
}

func TestRoomLimits(t *testing.T) {
	srv := serve(t, &socketio.Options{Limits: socketio.Limits{Rooms: 2, RoomName: 8}})
	c := srv.Connect("/", nil)
	s := srv.Socket(c.ID)
	noError(t, s.Join("a", "b"))
	noError(t, s.Join("a"))
	if err := s.Join("c"); !errors.Is(err, socketio.ErrRooms) {
		t.Errorf("third room: %v", err)
	}
	s.Leave("a")
	if err := s.Join(strings.Repeat("n", 9)); !errors.Is(err, socketio.ErrRooms) {
		t.Errorf("long name: %v", err)
	}
	noError(t, s.Join("c"))
	if got := s.Rooms(); !slices.Equal(got, []string{c.ID, "b", "c"}) {
		t.Errorf("rooms %v", got)
	}
}

func TestOwnRoomCanBeLeftAndSharedLikeAnyOther(t *testing.T) {
	srv := serve(t, nil)
	a, b := srv.Connect("/", nil), srv.Connect("/", nil)
	noError(t, srv.Socket(b.ID).Join(a.ID))
	noError(t, srv.To(a.ID).Emit("both"))
	a.Expect("both")
	b.Expect("both")
	srv.Socket(a.ID).Leave(a.ID)
	noError(t, srv.To(a.ID).Emit("b only"))
	b.Expect("b only")
	a.Quiet()
	if !srv.LocalAdapter().HasRoom(a.ID) {
		t.Error("room is gone while somebody is in it")
	}
}

// The room table against a naive model, under random operations.
func TestRoomsAgainstAModel(t *testing.T) {
	srv := serve(t, nil)
	const n = 12
	var clients []*sockettest.Client
	for range n {
		clients = append(clients, srv.Connect("/", nil))
	}
	rooms := []string{"a", "b", "c", clients[0].ID}
	model := map[string]map[string]bool{}
	for _, c := range clients {
		model[c.ID] = map[string]bool{c.ID: true}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 5000 {
		id := clients[random.IntN(n)].ID
		room := rooms[random.IntN(len(rooms))]
		if random.IntN(2) == 0 {
			noError(t, srv.Socket(id).Join(room))
			model[id][room] = true
		} else {
			srv.Socket(id).Leave(room)
			delete(model[id], room)
		}
		for _, room := range rooms {
			var expected []string
			for id, in := range model {
				if in[room] {
					expected = append(expected, id)
				}
			}
			got := srv.LocalAdapter().Members(room)
			slices.Sort(expected)
			slices.Sort(got)
			if !slices.Equal(expected, got) || srv.LocalAdapter().HasRoom(room) != (len(expected) > 0) {
				t.Fatalf("step %d: room %s has %v, want %v", step, room, got, expected)
			}
		}
		got := srv.Socket(id).Rooms()
		if len(got) != len(model[id]) {
			t.Fatalf("step %d: %s is in %v, want %v", step, id, got, model[id])
		}
	}
}

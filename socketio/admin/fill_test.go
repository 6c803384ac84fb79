package admin_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/admin"
	"posthouse/socketio/sockettest"
)

// model is what a page knows of sockets and their rooms.
type model map[string]map[string]bool

// follow applies messages until the page knows a member of the last room, and reports
// what it would show twice.
func (m model) follow(t *testing.T, c *sockettest.Client, last string) {
	t.Helper()
	isLast := func(rooms map[string]bool) bool { return rooms[last] }
	for filled := false; !slices.ContainsFunc(slices.Collect(maps.Values(m)), isLast); {
		msg := c.Next()
		var nsp, room, id string
		switch msg.Name {
		case "all_sockets":
			var list []struct {
				ID, Nsp string
				Rooms   []string
			}
			bind(t, msg, 0, &list)
			for _, s := range list {
				m.add(s.Nsp+s.ID, s.Rooms)
			}
			filled = true
		case "socket_connected":
			var s struct {
				ID, Nsp string
				Rooms   []string
			}
			bind(t, msg, 0, &s)
			m.add(s.Nsp+s.ID, s.Rooms)
		case "socket_disconnected":
			bind(t, msg, 0, &nsp)
			bind(t, msg, 1, &id)
			delete(m, nsp+id)
		case "room_joined", "room_left":
			bind(t, msg, 0, &nsp)
			bind(t, msg, 1, &room)
			bind(t, msg, 2, &id)
			rooms := m[nsp+id]
			if !filled || rooms == nil {
				continue // the page ignores it, too
			}
			if joined := msg.Name == "room_joined"; rooms[room] == joined {
				t.Errorf("%s%s was told before", msg.Name, msg.Args)
			} else if joined {
				rooms[room] = true
			} else {
				delete(rooms, room)
			}
		}
	}
}

func (m model) add(key string, rooms []string) {
	m[key] = map[string]bool{}
	for _, r := range rooms {
		m[key][r] = true
	}
}

func TestFillPage_RoomsChangeMeanwhile_EachIsToldOnce(t *testing.T) {
	srv, _ := instrument(t, &admin.Options{NoAuth: true, Budget: 1 << 30})
	gone := make(chan struct{}, 100)
	srv.OnDisconnect(func(*socketio.Socket, socketio.Reason) { gone <- struct{}{} })
	for range 20 {
		srv.Connect("/", nil)
	}
	sockets := slices.Collect(srv.Sockets())
	var changes sync.WaitGroup
	for _, s := range sockets {
		changes.Go(func() {
			for range 100 { // fewer than notices may wait
				room := fmt.Sprint("room", rand.N(3))
				if s.InRoom(room) {
					s.Leave(room)
				} else if err := s.Join(room); err != nil {
					t.Error(err)
				}
				runtime.Gosched()
			}
		})
	}
	var pages, comers []*sockettest.Client
	for range 5 {
		pages = append(pages, srv.Connect("/admin", nil))
		comers = append(comers, srv.Connect("/", nil), srv.Connect("/", nil), srv.Connect("/", nil))
		comers[len(comers)-1].Disconnect()
		comers[len(comers)-2].Disconnect()
	}
	for range 10 {
		<-gone
	}
	changes.Wait()
	if err := sockets[0].Join("the end"); err != nil { // the last notice of all
		t.Fatal(err)
	}
	want := model{}
	for s := range srv.Sockets() {
		want.add("/"+s.ID(), s.Rooms())
	}
	for _, c := range pages {
		got := model{}
		got.follow(t, c, "the end")
		maps.DeleteFunc(got, func(key string, _ map[string]bool) bool { return strings.HasPrefix(key, "/admin") })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the page shows %v, the server has %v", got, want)
		}
	}
}

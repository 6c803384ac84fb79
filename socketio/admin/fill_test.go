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

// shownPage is an administrator's page, with what it shows.
type shownPage struct {
	*sockettest.Client
	shows  model
	filled bool // the list has come
}

// follow applies messages until done, and reports what the page would show twice.
func (p *shownPage) follow(t *testing.T, done func() bool) {
	t.Helper()
	m := p.shows
	for !done() {
		msg := p.Next()
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
			p.filled = true
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
			if !p.filled || rooms == nil {
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
	var pages []*shownPage
	var comers []*sockettest.Client
	for range 5 {
		pages = append(pages, &shownPage{Client: srv.Connect("/admin", nil), shows: model{}})
		comers = append(comers, srv.Connect("/", nil), srv.Connect("/", nil), srv.Connect("/", nil))
		comers[len(comers)-1].Disconnect()
		comers[len(comers)-2].Disconnect()
	}
	for range 10 {
		<-gone
	}
	changes.Wait()
	// A list that held the last change would come ahead of the changes that it lacks.
	for _, p := range pages {
		p.follow(t, func() bool { return p.filled })
	}
	if err := sockets[0].Join("the end"); err != nil { // the last notice of all
		t.Fatal(err)
	}
	want := model{}
	for s := range srv.Sockets() {
		want.add("/"+s.ID(), s.Rooms())
	}
	last := "/" + sockets[0].ID()
	for _, p := range pages {
		got := p.shows
		p.follow(t, func() bool { return got[last]["the end"] })
		maps.DeleteFunc(got, func(key string, _ map[string]bool) bool { return strings.HasPrefix(key, "/admin") })
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the page shows %v, the server has %v", got, want)
		}
	}
}

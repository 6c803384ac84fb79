package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"posthouse/socketio"
	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

// Bounds on the space of one person.
const (
	maxName  = 24   // characters
	maxRoom  = 32   // characters
	maxText  = 1000 // characters
	maxRooms = 20   // rooms at a time
)

// Person is who others see. There is no login here: ID is derived from a secret
// that the browser keeps, so that names can be shared but not stolen.
type Person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Message is one line of a room.
type Message struct {
	ID   string `json:"id"` // chosen by the sender: a message sent twice counts once
	Room string `json:"room"`
	From Person `json:"from"`
	Text string `json:"text"`
	At   int64  `json:"at"` // milliseconds since 1970, unique in the room
}

// Presence says that a person is in a room. Socket tells the tabs of one
// person apart.
type Presence struct {
	Room   string `json:"room"`
	Socket string `json:"socket"`
	Person Person `json:"person"`
}

// person is kept with each socket. It survives a recovered connection, and other
// replicas see it with FetchSockets.
var person = socketio.NewKey[Person]("person")

// roomPrefix keeps our rooms apart from those the library makes: every socket is
// in a room named by its own id, which no other socket should be able to join.
const roomPrefix = "room:"

// chat is everything the server does. The handlers run on the goroutines of their
// sockets.
type chat struct {
	io     *socketio.Server
	kept   *history.History   // the last messages of each room, for all replicas
	here   *presence.Presence // the people in the rooms, over all replicas; Run tells
	lastAt atomic.Int64       // of the messages that this replica took
}

// newChat registers the chat's handlers. All of them are on the namespace, so
// nothing is kept per socket; socketio.FromContext tells who is calling.
// people is the list of people that replicas share, nil for a single one.
func newChat(io *socketio.Server, people presence.Store) *chat {
	c := &chat{io: io}
	c.keepMessages()
	c.watchPeople(people)
	io.Use(c.introduce)
	io.OnConnection(c.connected)
	io.OnDisconnecting(c.disconnecting)
	io.OnEvent("join", c.join)
	socketio.Handle(io, "leave", c.leave)
	socketio.Handle(io, "say", c.say)
	socketio.Handle(io, "rename", c.rename)
	io.OnEvent("typing", c.typing)
	return c
}

// introduce is a middleware: it decides about each new connection, from what the
// page gave as `auth`, also about a recovered one: its rooms and its person are back
// already, and come out the same.
func (c *chat) introduce(_ context.Context, s *socketio.Socket) error {
	var auth struct {
		Secret, Name string
		Rooms        []string
	}
	name := ""
	err := s.Auth(&auth)
	if err == nil {
		name, err = checkName(auth.Name)
	}
	if err != nil || len(auth.Secret) < 16 {
		return &socketio.ConnectError{Message: "bad_name"} // the page's connect_error
	}
	sum := sha256.Sum256([]byte(auth.Secret))
	person.Set(s, Person{ID: hex.EncodeToString(sum[:6]), Name: name})
	for _, room := range auth.Rooms {
		if room, err := checkRoom(room); err == nil {
			_ = s.Join(roomPrefix + room) // beyond Limits.Rooms the page asks, and is told
		}
	}
	return nil
}

// connected runs before any event of the socket. A recovered one has its rooms and
// its person back, and was sent what it missed.
func (c *chat) connected(s *socketio.Socket) {
	me, _ := person.Of(s)
	announce(s, "present") // before the hello, so that a client that was greeted is known to the others
	_ = s.Emit("hello", me)
}

// disconnecting runs while the socket is still in its rooms.
func (c *chat) disconnecting(s *socketio.Socket, _ socketio.Reason) { announce(s, "absent") }

// announce tells the others in each room of s. Errors of Emit are about the other
// replicas and need no answer: what is local was delivered.
func announce(s *socketio.Socket, event string) {
	me, _ := person.Of(s)
	for _, name := range s.Rooms() {
		if room, ours := strings.CutPrefix(name, roomPrefix); ours {
			_ = s.To(name).Emit(event, Presence{room, s.ID(), me})
		}
	}
}

// room is what the page shows of one.
type room struct {
	Room     string     `json:"room"`
	Messages []Message  `json:"messages"`
	People   []Presence `json:"people"`
}

type roomName struct{ Room string }

// join answers with the room, also for those who are in it already. What is said
// meanwhile follows the answer: kept.Join holds it back until release.
func (c *chat) join(e *socketio.Event) {
	var in roomName
	if err := e.Bind(&in); err != nil {
		e.AckError(err)
		return
	}
	s := e.Socket()
	name, err := checkRoom(in.Room)
	if err != nil {
		e.AckError(err)
		return
	}
	page, release, err := c.kept.Join(e.Context(), s, roomPrefix+name, keptMessages, func() error { return enter(s, name) })
	if err != nil {
		e.AckError(c.kept.EventError(err))
		return
	}
	answer := room{name, messagesOf(page), c.people(e.Context(), name)}
	if err := release(func() { _ = e.Ack(answer) }); err != nil { // the page has gone, or asks again
		e.AckError(c.kept.EventError(err))
	}
}

// enter puts a socket into a room and tells the others.
func enter(s *socketio.Socket, name string) error {
	if s.InRoom(roomPrefix + name) {
		return nil
	}
	if err := s.Join(roomPrefix + name); err != nil {
		return &socketio.EventError{Code: "too_many_rooms", Message: "leave a room first"}
	}
	me, _ := person.Of(s)
	_ = s.To(roomPrefix+name).Emit("present", Presence{name, s.ID(), me})
	return nil
}

// people asks all replicas who is in a room. If one does not answer in time there
// is an error besides the sockets of the others, which will do.
func (c *chat) people(ctx context.Context, name string) []Presence {
	sockets, _ := c.io.In(roomPrefix + name).FetchSockets(ctx)
	all := make([]Presence, 0, len(sockets))
	for _, s := range sockets {
		if p, ok := person.In(s); ok {
			all = append(all, Presence{name, s.ID(), p})
		}
	}
	return all
}

func (c *chat) leave(ctx context.Context, in roomName) (struct{}, error) {
	s := socketio.FromContext(ctx)
	if s.InRoom(roomPrefix + in.Room) {
		s.Leave(roomPrefix + in.Room)
		_ = s.To(roomPrefix+in.Room).Emit("absent", Presence{Room: in.Room, Socket: s.ID()})
	}
	return struct{}{}, nil
}

type line struct{ Room, ID, Text string }

// say sends a message to every member of the room, the sender included. The page
// repeats a message until it is acknowledged: one that came before is
// acknowledged again and not sent again.
func (c *chat) say(ctx context.Context, in line) (Message, error) {
	s := socketio.FromContext(ctx)
	text := strings.TrimSpace(in.Text)
	switch {
	case !s.InRoom(roomPrefix + in.Room):
		return Message{}, &socketio.EventError{Code: "not_joined", Message: "join the room first"}
	case text == "" || utf8.RuneCountInString(text) > maxText:
		return Message{}, &socketio.EventError{Code: "bad_text", Message: "a message has 1 to 1000 characters"}
	case in.ID == "" || len(in.ID) > 40:
		return Message{}, &socketio.EventError{Code: "bad_id", Message: "an id has 1 to 40 characters"}
	}
	me, _ := person.Of(s)
	m := Message{ID: in.ID, Room: in.Room, From: me, Text: text}
	if was, found := c.find(ctx, m); found {
		return was, nil
	}
	m.At = c.nextTime()
	_ = c.io.To(roomPrefix+m.Room).RecordFrom(me.ID).Emit("message", m)
	return m, nil
}

func (c *chat) rename(ctx context.Context, in struct{ Name string }) (Person, error) {
	s := socketio.FromContext(ctx)
	name, err := checkName(in.Name)
	if err != nil {
		return Person{}, err
	}
	me, _ := person.Of(s)
	me.Name = name
	person.Set(s, me)
	announce(s, "present")
	return me, nil
}

// typing is the plain way to handle an event, without Handle: nothing is answered.
// Volatile means that the news may get lost, which is better than late.
func (c *chat) typing(e *socketio.Event) {
	var name string
	s := e.Socket()
	if err := e.Bind(&name); err != nil || !s.InRoom(roomPrefix+name) {
		return // the page does not do that
	}
	me, _ := person.Of(s)
	_ = s.To(roomPrefix+name).Volatile().Emit("typing", Presence{name, s.ID(), me})
}

func checkName(name string) (string, error) {
	if name = tidy(name); name == "" || utf8.RuneCountInString(name) > maxName {
		return "", &socketio.EventError{Code: "bad_name", Message: "a name has 1 to 24 characters"}
	}
	return name, nil
}

func checkRoom(name string) (string, error) {
	if name = strings.ToLower(tidy(name)); name == "" || utf8.RuneCountInString(name) > maxRoom {
		return "", &socketio.EventError{Code: "bad_room", Message: "the name of a room has 1 to 32 characters"}
	}
	return name, nil
}

// tidy makes a name that looks the same as another be the same.
func tidy(name string) string {
	visible := strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return -1
	}, name)
	return strings.Join(strings.Fields(visible), " ")
}

package access

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"posthouse/socketio"
	"posthouse/socketio/history"
	"posthouse/socketio/internal/declare"
	"posthouse/socketio/presence"
)

// defaultMaxRooms is how many rooms a socket may be in (docs/realtime.md §3).
const defaultMaxRooms = 256

// Options are the rules of a namespace.
type Options struct {
	// Rooms are the rooms of every socket from its connection on: text and {claim}. A
	// connection that lacks a claim, or has it empty or longer than 255 bytes, is refused.
	Rooms []string
	// Join are patterns of what clients may join and leave themselves: text, {claim},
	// and * for one or more characters. Without any, "join" and "leave" are events like
	// others.
	Join []string
	// Relay names events that are passed on to the other members of a room: the client
	// sends the room first, and must be in it.
	Relay []string
	// Claim finds a claim of a socket, as auth.ClaimOf does. Required with {claim}.
	Claim func(s *socketio.Socket, name string) (value string, ok bool)
	// MaxRooms is how many rooms a socket may be in, besides its own. Default 256;
	// socketio.Limits.Rooms bounds it.
	MaxRooms int
	// EventsPerSecond and EventsBurst bound the events of each socket: see
	// socketio.Namespace.LimitEvents. Default: the server's bound.
	EventsPerSecond float64
	EventsBurst     int
	// Joiner does the joins, for features that add to them. Default: the socket joins.
	Joiner Joiner
	// History is that of the namespace: clients may join with {room, history}, and relayed
	// events are kept. Rules give it to the namespace: History.Apply is not called.
	History *history.History
	// Presence is that of the namespace: the answer to a join tells who is in the room. Rules
	// give it to the namespace: Presence.Apply is not called.
	Presence *presence.Presence
	// Other gets the events that neither the rules nor Known name, RefuseUnknown for
	// example. Default: they are left to the handlers of the program.
	Other func(e *socketio.Event)
	// Known are events that the program handles itself, "auth" of a Guard for example;
	// Other does not get them.
	Known []string
}

// JoinRequest is what a client asks for with "join".
type JoinRequest struct {
	Room string `json:"room"`
	// History is how many past events are asked for; 0 for none.
	History int `json:"history,omitempty"`
}

// Joiner is the place for what belongs to the moment of a join, such as history that
// meets the live events without a gap.
type Joiner interface {
	// Join calls join, which puts the socket into the room, and returns further fields
	// of the acknowledgement. Its errors are those of socketio.Event.AckError.
	Join(ctx context.Context, s *socketio.Socket, r JoinRequest, join func() error) (map[string]any, error)
}

// Namespace is what rules apply to: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type Namespace interface {
	Use(fn socketio.Middleware)
	OnEvent(event string, fn func(*socketio.Event))
	OnAny(fn func(*socketio.Event))
	LimitEvents(perSecond float64, burst int)
	KeepRecords(r socketio.Recorder)
	OnConnection(fn func(*socketio.Socket))
	OnDisconnecting(fn func(*socketio.Socket, socketio.Reason))
}

// Rules are the rules of a namespace, ready for use. Safe for concurrent use.
type Rules struct {
	first    *ruleSet // of New: its events have handlers of their own
	current  atomic.Pointer[ruleSet]
	refusals refusals

	mu      sync.Mutex  // guards what follows
	applied []Namespace // that the rules were put into effect for
}

// reserved are events that cannot be relayed: the library's own, and those that
// docs/realtime.md §2, §3 and §6 name.
var reserved = []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
	"auth", "expired", "join", "leave", "history", "presence"}

// New checks rules. Its error names the option and the value.
func New(opts *Options) (*Rules, error) {
	set, err := newRuleSet(opts)
	if err != nil {
		return nil, err
	}
	r := &Rules{first: set}
	r.current.Store(set)
	return r, nil
}

// Apply puts the rules into effect. Call it before clients connect, and after the
// middleware that finds out the claims.
func (r *Rules) Apply(n Namespace) {
	set := r.first
	if len(set.rooms) > 0 || set.o.Other != nil {
		n.Use(r.enter)
	}
	if len(set.join) > 0 {
		n.OnEvent("join", r.ifServed(r.handleJoin))
		n.OnEvent("leave", r.ifServed(r.answered(r.leaveRoom)))
		declare.Accepts[joinAnswer](n, "join", reflect.TypeFor[any]()) // a room, or a JoinRequest
		declare.Accepts[leaveAnswer](n, "leave", reflect.TypeFor[string]())
	}
	if set.o.History != nil {
		set.o.History.Apply(n)
	}
	if set.o.Presence != nil {
		set.o.Presence.Apply(n)
	}
	for _, event := range set.o.Relay {
		n.OnEvent(event, r.ifServed(r.answered(r.relay)))
	}
	if set.o.EventsPerSecond > 0 {
		n.LimitEvents(set.o.EventsPerSecond, set.o.EventsBurst)
	}
	if set.o.Other != nil {
		n.OnAny(r.handleOther)
	}
	r.mu.Lock()
	r.applied = append(r.applied, n)
	r.mu.Unlock()
}

// claims is the lookup for a socket.
func (r *Rules) claims(s *socketio.Socket) lookup {
	claim := r.first.o.Claim
	return func(name string) (string, bool) { return claim(s, name) }
}

// enter joins the rooms of every socket.
func (r *Rules) enter(_ context.Context, s *socketio.Socket) error {
	refused := &socketio.ConnectError{Message: "unauthorized", Data: map[string]string{"code": "unauthorized"}}
	set := r.current.Load()
	if len(set.rooms) == 0 {
		return nil
	}
	names := make([]string, len(set.rooms))
	for i, p := range set.rooms {
		name, ok := p.expand(r.claims(s))
		if !ok {
			return refused
		}
		names[i] = name
	}
	if s.Join(names...) != nil {
		return refused // a name is too long with its claim
	}
	return nil
}

// fixed reports whether a room is one that the rules put the socket in.
func (r *Rules) fixed(s *socketio.Socket, room string) bool {
	for _, p := range r.current.Load().rooms {
		if name, ok := p.expand(r.claims(s)); ok && name == room {
			return true
		}
	}
	return false
}

// allowed reports whether the client may join a room itself.
func (r *Rules) allowed(s *socketio.Socket, room string) bool {
	return slices.ContainsFunc(r.current.Load().join, func(p pattern) bool { return p.match(room, r.claims(s)) })
}

// request reads the argument of "join": a name, or an object.
func request(e *socketio.Event) (JoinRequest, error) {
	var raw json.RawMessage
	var in JoinRequest
	if e.Bind(&raw) != nil {
		return in, badRequest("a room is missing")
	}
	err := json.Unmarshal(raw, &in.Room)
	if err != nil {
		err = json.Unmarshal(raw, &in)
	}
	if err != nil || in.Room == "" || in.History < 0 || in.History > maxHistory {
		return in, badRequest("the argument must be a room, or {room, history} with 1 to 1000 events")
	}
	return in, nil
}

// maxHistory is the most events a join may ask for (docs/realtime.md §3).
const maxHistory = 1000

package access

import (
	"errors"
	"sync/atomic"

	"posthouse/socketio"
)

func refuse(code, message string) error {
	return &socketio.EventError{Code: code, Message: message}
}

func badRequest(message string) error { return refuse("bad_request", message) }

var (
	errForbidden = refuse("forbidden", "the room is not allowed")
	errMember    = refuse("forbidden", "only members of the room may do that")
	errRooms     = refuse("forbidden", "too many rooms, or the name is too long")
	errUnknown   = refuse("unknown_event", "no such event")
)

// refusals counts the answers that were errors, by code.
type refusals struct{ forbidden, badRequest, unavailable, other atomic.Uint64 }

// Stats counts what clients were refused, whether or not they asked for an answer.
type Stats struct {
	Forbidden, BadRequest, Unavailable, Other uint64
}

// Stats returns the counters.
func (r *Rules) Stats() Stats {
	c := &r.refusals
	return Stats{c.forbidden.Load(), c.badRequest.Load(), c.unavailable.Load(), c.other.Load()}
}

func (c *refusals) count(err error) {
	var told *socketio.EventError
	if !errors.As(err, &told) {
		c.other.Add(1)
		return
	}
	switch told.Code {
	case "forbidden":
		c.forbidden.Add(1)
	case "bad_request":
		c.badRequest.Add(1)
	case "unavailable":
		c.unavailable.Add(1)
	default:
		c.other.Add(1)
	}
}

// RefuseUnknown answers an event with the error unknown_event: for Options.Other.
func RefuseUnknown(e *socketio.Event) { e.AckError(errUnknown) }

// answered makes a handler of a function that returns the acknowledgement or an error.
func (r *Rules) answered(fn func(e *socketio.Event) (map[string]any, error)) func(*socketio.Event) {
	return func(e *socketio.Event) {
		answer, err := fn(e)
		if err != nil {
			r.refusals.count(err)
			e.AckError(err)
			return
		}
		_ = e.Ack(answer) // no answer was asked for, or the client has gone
	}
}

// leaveRoom handles "leave".
func (r *Rules) leaveRoom(e *socketio.Event) (map[string]any, error) {
	var room string
	if e.Bind(&room) != nil || room == "" {
		return nil, badRequest("the argument must be a room")
	}
	s := e.Socket()
	if !r.allowed(s, room) || r.fixed(s, room) {
		return nil, errForbidden
	}
	s.Leave(room)
	return map[string]any{"room": room}, nil
}

// relay passes an event on to the other members of its room.
func (r *Rules) relay(e *socketio.Event) (map[string]any, error) {
	var room string
	if e.Bind(&room) != nil || room == "" {
		return nil, badRequest("the first argument must be a room")
	}
	s := e.Socket()
	if room == s.ID() || !s.InRoom(room) {
		return nil, errMember
	}
	if err := s.To(room).RecordFrom(r.user(s)).WithContext(e.Context()).Emit(e.Name(), e.Args()); err != nil {
		return nil, refuse("unavailable", "the event cannot be passed on now")
	}
	return map[string]any{}, nil
}

// user is the subject of a socket's token, "" without one.
func (r *Rules) user(s *socketio.Socket) string {
	if r.first.o.Claim == nil {
		return ""
	}
	user, _ := r.first.o.Claim(s, "sub")
	return user
}

package access

import (
	"posthouse/socketio"
	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

// joinAnswer describes the acknowledgement of "join" for the contract of a namespace. The
// answer itself is a map: a Joiner adds fields.
type joinAnswer struct {
	Room     string            `json:"room"`
	History  []history.Event   `json:"history,omitempty" doc:"The past events that were asked for, oldest first."`
	Gap      bool              `json:"gap,omitempty" doc:"Events are missing: they are no longer kept."`
	Presence []presence.Member `json:"presence,omitempty" doc:"The users in the room, where it has presence."`
	Stale    bool              `json:"stale,omitempty" doc:"The list of users is the one known last: Redis is away."`
}

// leaveAnswer describes the acknowledgement of "leave".
type leaveAnswer struct {
	Room string `json:"room"`
}

// joinTask is one "join" under way.
type joinTask struct {
	rules  *Rules
	event  *socketio.Event
	in     JoinRequest
	answer map[string]any
	// release sends the answer, given as a function, and then what came for the room
	// meanwhile; nil sends the answer alone.
	release func(first func()) error
}

// handleJoin handles "join".
func (r *Rules) handleJoin(e *socketio.Event) {
	t := &joinTask{rules: r, event: e}
	err := t.run()
	if err == nil && t.release != nil {
		if t.release(func() { _ = e.Ack(t.answer) }) != nil { // the client may have gone
			err = refuse("unavailable", "too much is sent to the room while it is joined")
		}
	} else if err == nil {
		_ = e.Ack(t.answer) // no answer was asked for, or the client has gone
	}
	if err != nil {
		r.refusals.count(err)
		e.AckError(err)
	}
}

func (t *joinTask) run() (err error) {
	r, s := t.rules, t.event.Socket()
	if t.in, err = request(t.event); err != nil {
		return err
	}
	if !r.allowed(s, t.in.Room) {
		return errForbidden
	}
	t.answer = map[string]any{"room": t.in.Room}
	if err := t.enter(); err != nil {
		return err
	}
	t.addMembers()
	return nil
}

// enter joins, with the room's past if the client asks for it.
func (t *joinTask) enter() error {
	r := t.rules
	h := r.first.o.History
	kept := h != nil && h.Keeps(t.in.Room)
	switch {
	case t.in.History > 0 && kept:
		return t.withHistory()
	case t.in.History > 0 && r.first.o.Joiner == nil:
		return badRequest("this room has no history")
	}
	return t.join()
}

// join puts the socket into the room, by the Joiner if there is one.
func (t *joinTask) join() error {
	r, s := t.rules, t.event.Socket()
	join := func() error {
		if !s.InRoom(t.in.Room) && len(s.Rooms())-1 >= r.current.Load().o.MaxRooms || s.Join(t.in.Room) != nil {
			return errRooms
		}
		return nil
	}
	if r.first.o.Joiner == nil {
		return join()
	}
	fields, err := r.first.o.Joiner.Join(t.event.Context(), s, t.in, join)
	for name, value := range fields {
		t.answer[name] = value
	}
	return err
}

// addMembers tells in the answer who is in the room, unless that is not known now.
func (t *joinTask) addMembers() {
	p := t.rules.first.o.Presence
	if p == nil || !p.Watches(t.in.Room) {
		return
	}
	list, err := p.Members(t.event.Context(), t.event.Socket().Namespace(), t.in.Room)
	if err != nil {
		return
	}
	t.answer["presence"] = list.Members
	if list.Stale {
		t.answer["stale"] = true
	}
}

// withHistory joins with the room's past.
func (t *joinTask) withHistory() error {
	h := t.rules.first.o.History
	page, release, err := h.Join(t.event.Context(), t.event.Socket(), t.in.Room, t.in.History, t.join)
	if err != nil {
		return h.EventError(err)
	}
	events, err := page.ForClient()
	if err != nil {
		_ = release(func() {}) // the error is what the client is told
		return err
	}
	t.answer["history"], t.release = events, release
	if page.Gap {
		t.answer["gap"] = true
	}
	return nil
}

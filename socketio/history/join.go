package history

import (
	"context"
	"errors"

	"posthouse/socketio"
)

// Join puts a socket into a room with join and reads the room's newest events. The events
// that come meanwhile are held back: release calls first, which sends the page, and then
// sends those that the page does not hold. Call release once, unless there is an error;
// the socket is then in no other rooms than before.
func (h *History) Join(ctx context.Context, s *socketio.Socket, room string, limit int, join func() error) (page *Page, release func(first func()) error, err error) {
	if limit < 1 || limit > MaxEvents {
		return nil, nil, ErrRequest
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	wasIn := s.InRoom(room)
	hold := s.HoldRoom(room)
	undo := func() {
		if !wasIn {
			s.Leave(room)
		}
		hold.Cancel()
	}
	if err := join(); err != nil {
		undo()
		return nil, nil, err
	}
	store := h.storeOf(s.Namespace())
	last, err := store.Last(ctx, room)
	if err == nil {
		page, err = h.page(ctx, store, room, limit, last)
	}
	if err != nil {
		undo()
		return nil, nil, err
	}
	return page, func(first func()) error {
		err := hold.Release(last, first)
		if err != nil {
			undo()
		}
		return err
	}, nil
}

// errors for clients.
var (
	errMember      = &socketio.EventError{Code: "forbidden", Message: "only members of the room may do that"}
	errNoHistory   = &socketio.EventError{Code: "bad_request", Message: "this room has no history"}
	errArgument    = &socketio.EventError{Code: "bad_request", Message: "the argument must be {room, limit, before?} with a limit of 1 to 1000"}
	errUnavailable = &socketio.EventError{Code: "unavailable", Message: "the history cannot be read now"}
)

// EventError makes of an error what a client may see.
func (h *History) EventError(err error) error {
	var told *socketio.EventError
	switch {
	case err == nil, errors.As(err, &told):
		return err
	case errors.Is(err, ErrRequest):
		return errArgument
	}
	h.failure("events cannot be read", err)
	return errUnavailable
}

// handle answers the event "history".
func (h *History) handle(e *socketio.Event) {
	answer, err := h.answer(e)
	if err != nil {
		e.AckError(h.EventError(err))
		return
	}
	_ = e.Ack(answer) // no answer was asked for, or the client has gone
}

// pageRequest is the argument of the event "history".
type pageRequest struct {
	Room   string `json:"room"`
	Limit  int    `json:"limit"`
	Before string `json:"before,omitempty" doc:"The id of an event: older ones are wanted."`
}

func (h *History) answer(e *socketio.Event) (map[string]any, error) {
	var in pageRequest
	if e.Bind(&in) != nil || in.Room == "" {
		return nil, errArgument
	}
	s := e.Socket()
	if in.Room == s.ID() || !s.InRoom(in.Room) {
		return nil, errMember
	}
	if !h.Keeps(in.Room) {
		return nil, errNoHistory
	}
	page, err := h.Read(e.Context(), s.Namespace(), in.Room, in.Limit, in.Before)
	if err != nil {
		return nil, err
	}
	events, err := page.ForClient()
	if err != nil {
		return nil, err
	}
	answer := map[string]any{"events": events, "more": page.More}
	if page.Gap {
		answer["gap"] = true
	}
	return answer, nil
}

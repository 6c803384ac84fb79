package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// Data is what the back end keeps at a socket by its answers. It travels with the socket
// when that is recovered, and other nodes see it.
var Data = socketio.NewKey[json.RawMessage]("data")

// userKey holds the user that the answer to connect names. Its name is that of
// auth.Subject: a socket has one user, whichever way it is known.
var userKey = socketio.NewKey[string]("sub")

// Namespace is what a Client attaches to: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type Namespace interface {
	Use(fn socketio.Middleware)
	OnAny(fn func(*socketio.Event))
	OnDisconnect(fn func(*socketio.Socket, socketio.Reason))
}

// Attach posts the connects, events and disconnects of a namespace that Options.Events
// names. Call it before clients connect.
func (c *Client) Attach(n Namespace) {
	c.AttachConnections(n)
	n.OnAny(func(e *socketio.Event) {
		if c.current.Load().wants(e.Name()) {
			c.HandleEvent(e)
		}
	})
}

// AttachConnections is Attach without events, for programs that give HandleEvent only
// some of them, as access.Options.Other does.
func (c *Client) AttachConnections(n Namespace) {
	n.Use(c.connect)
	n.OnDisconnect(c.disconnect)
}

// HandleEvent posts one event and does what the answer says, the acknowledgement
// included. An event that Options.Events does not name is answered with unknown_event.
func (c *Client) HandleEvent(e *socketio.Event) {
	t := c.current.Load()
	if !t.wants(e.Name()) {
		e.AckError(&socketio.EventError{Code: "unknown_event", Message: "the event is unknown"})
		return
	}
	s := e.Socket()
	b := c.newBody("event", s)
	args, err := argsOf(e.Args())
	if err != nil {
		e.AckError(err)
		return
	}
	wantsAck := e.WantsAck()
	b.Event, b.Args, b.Ack = e.Name(), args, &wantsAck
	a, err := c.ask(e.Context(), b, t.opts.Retries)
	switch {
	case err != nil:
		e.AckError(&socketio.EventError{Code: "unavailable", Message: "the back end cannot be reached"})
	case a.status >= 400:
		if len(a.Error) == 0 {
			a.Error = json.RawMessage(`{"code":"bad_request"}`)
		}
		_ = e.Ack(map[string]any{"error": a.Error}) // no answer was asked for, or the client has gone
	default:
		c.perform(e, a)
	}
}

// perform does what the answer to an event says, in the order of the documentation.
func (c *Client) perform(e *socketio.Event, a *answer) {
	s := e.Socket()
	if a.Data != nil {
		Data.Set(s, a.Data)
	}
	err := s.Join(a.Join...)
	for _, room := range a.Leave {
		s.Leave(room)
	}
	for i, text := range a.Emit {
		if failed := emit(s, text); failed != nil {
			err = errors.Join(err, fmt.Errorf("emit[%d]: %w", i, failed))
		}
	}
	args, failed := jsonbinary.DecodeList(a.Ack)
	if failed != nil {
		args, err = nil, errors.Join(err, fmt.Errorf("ack: %w", failed))
	}
	if err != nil {
		c.failure("event", fmt.Errorf("a part of the answer cannot be done: %w", err))
	}
	_ = e.Ack(args...) // no answer was asked for, or the client has gone
	if a.Disconnect {
		s.Disconnect(false)
	}
}

// connect is the middleware.
func (c *Client) connect(ctx context.Context, s *socketio.Socket) error {
	t := c.current.Load()
	if !t.events["connect"] {
		return nil
	}
	b := c.newBody("connect", s)
	b.Auth, b.Headers, b.Recovered = authOf(s), c.passedOn(s), s.Recovered()
	a, err := c.ask(ctx, b, 0)
	switch {
	case err != nil && t.opts.FailOpen:
		return nil
	case err != nil:
		return refusal("unavailable", "", nil)
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		return refusal("unauthorized", a.Message, a.Data)
	case a.status >= 400:
		c.failure("connect", fmt.Errorf("the answer has status %d", a.status))
		if t.opts.FailOpen {
			return nil
		}
		return refusal("unavailable", "", nil)
	}
	if a.User != "" {
		userKey.Set(s, a.User)
	}
	if a.Data != nil {
		Data.Set(s, a.Data)
	}
	return s.Join(a.Rooms...)
}

// refusal is what a client gets that is not let in (docs/realtime.md §2).
func refusal(code, message string, data json.RawMessage) error {
	e := &socketio.ConnectError{Message: code, Data: map[string]string{"code": code}}
	if message != "" {
		e.Message = message
	}
	if data != nil {
		e.Data = data
	}
	return e
}

// disconnect queues the notice of an end.
func (c *Client) disconnect(s *socketio.Socket, reason socketio.Reason) {
	if !c.current.Load().events["disconnect"] {
		return
	}
	b := c.newBody("disconnect", s)
	b.Reason = string(reason)
	c.leaving.add(b)
}

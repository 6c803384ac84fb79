package contract

import (
	"fmt"

	"posthouse/socketio"
)

// CheckOptions are the options of Check. The zero value refuses unknown fields.
type CheckOptions struct {
	// AllowUnknownFields lets fields pass that the types do not have, as encoding/json
	// does: for pages that are newer than the server.
	AllowUnknownFields bool
}

// FieldError says which part of an event does not fit its type. The functions of
// Socket.OnError get it; the client gets the code "bad_request", the message and the
// field as the acknowledgement that it asked for.
type FieldError struct {
	Event   string
	Field   string // "items[2].name"; "" for the argument itself
	Problem string // "expected string"
}

// Error says what does not fit, without the value.
func (e *FieldError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("contract: event %q: %s", e.Event, e.Problem)
	}
	return fmt.Sprintf("contract: event %q: %s: %s", e.Event, e.Field, e.Problem)
}

// Check makes the namespace refuse events whose arguments do not fit what is declared
// for them so far: by Handle and Accepts, with the bounds of their tags. Such an event
// reaches no handler. Events that are not declared pass. It counts for sockets that
// connect afterwards, and stands among the functions of Socket.Use where it was called:
// catch-all listeners (OnAny) see events before. The error names a type that cannot be
// checked.
func Check(on Namespace, o *CheckOptions) error {
	if o == nil {
		o = &CheckOptions{}
	}
	s := newSchemas()
	events, err := s.fromNamespace(on)
	if err != nil {
		return err
	}
	c := &checker{schemas: s, allowUnknown: o.AllowUnknownFields}
	byName := map[string]*event{}
	for i := range events {
		if !events[i].FromServer {
			byName[events[i].Name] = &events[i]
		}
	}
	check := func(e *socketio.Event) error {
		declared := byName[e.Name()]
		if declared == nil {
			return nil
		}
		err := c.checkEvent(declared, e.Args())
		if err == nil {
			return nil
		}
		message := err.Problem
		data := map[string]any{}
		if err.Field != "" {
			message, data["field"] = err.Field+": "+err.Problem, err.Field
		}
		e.AckError(&socketio.EventError{Code: "bad_request", Message: message, Data: data})
		return err
	}
	on.OnConnection(func(s *socketio.Socket) { s.Use(check) })
	return nil
}

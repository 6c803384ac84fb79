package client

import (
	"context"
	"errors"

	"posthouse/socketio"
)

// Handle registers fn for an event with typed argument and answer, as socketio.Handle does
// on a server: the first argument is decoded into In, the result acknowledges the event.
// ctx is that of Event.Context. An event without arguments gives the zero In.
//
// An argument that does not fit answers {"error":{"code":"bad_request",…}}, a
// *socketio.EventError answers its fields, any other error the code "internal" and goes to
// the log.
func Handle[In, Out any](s *Socket, event string, fn func(ctx context.Context, in In) (Out, error)) Listener {
	return s.On(event, func(e *Event) {
		var in In
		var err error
		if args := e.Args(); args.Len() > 0 {
			err = args.Bind(&in)
		}
		var out Out
		if err == nil {
			out, err = fn(e.Context(), in)
		}
		if err != nil {
			e.AckError(err)
			return
		}
		if e.wantsAck {
			if err := e.Ack(out); err != nil && !errors.Is(err, socketio.ErrDisconnected) {
				e.AckError(err)
			}
		}
	})
}

// Call is EmitWithAck with a typed answer: the first argument of the acknowledgement.
// socketio.Call is the same.
func Call[Out any](ctx context.Context, to socketio.Caller, event string, args ...any) (Out, error) {
	return socketio.Call[Out](ctx, to, event, args...)
}

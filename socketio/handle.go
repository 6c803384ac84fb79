package socketio

import (
	"context"
	"errors"
)

// Events is where handlers can be registered: a Socket, for itself, or a
// Namespace (or a Server, for "/"), for all its sockets.
type Events interface {
	handle(event string, fn func(*Event))
}

func (s *Socket) handle(event string, fn func(*Event))          { s.On(event, fn) }
func (n *Namespace) handle(event string, fn func(*Event))       { n.OnEvent(event, fn) }
func (p *ParentNamespace) handle(event string, fn func(*Event)) { p.OnEvent(event, fn) }

// Handle registers fn for an event with typed argument and answer: the first
// argument of the event is decoded into In, the result acknowledges it. ctx is that
// of the socket, which FromContext returns. An event without arguments gives the
// zero In.
//
// An argument that does not fit answers {"error":{"code":"bad_request",…}}, an *EventError
// answers its fields, any other error the code "internal" and goes to
// the log. Without an acknowledgement asked for, results and errors of the
// client's making are dropped.
//
// On a namespace the types are recorded too: see Namespace.EventTypes.
func Handle[In, Out any](on Events, event string, fn func(ctx context.Context, in In) (Out, error)) {
	declare[In, Out](on, event)
	on.handle(event, func(e *Event) {
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
			e.ackError(err)
			return
		}
		if e.wantsAck {
			if err := e.Ack(out); err != nil && !errors.Is(err, ErrDisconnected) {
				e.ackError(err)
			}
		}
	})
}

// AckError acknowledges the event with an error, as Handle does for its function: an
// *EventError is told, ErrArgs is "bad_request", any other error is "internal" and
// goes to the log. Without an acknowledgement asked for, the client learns nothing.
func (e *Event) AckError(err error) { e.ackError(err) }

// ackError acknowledges with an error: the one place where errors of typed handlers
// become something a client sees.
func (e *Event) ackError(err error) {
	answer, known := ErrorAnswer(err)
	if !known {
		e.socket.ns.server.log.Error("socketio: handler failed",
			"namespace", e.socket.ns.name, "event", e.Name(), "error", err)
	}
	if e.wantsAck {
		_ = e.Ack(answer) // the client may have gone
	}
}

// Caller is who can be asked with Call: a *Socket, a Sender or a *RemoteSocket.
type Caller interface {
	EmitWithAck(ctx context.Context, event string, args ...any) (Args, error)
}

// Call is EmitWithAck with a typed answer: the first argument of the
// acknowledgement.
func Call[Out any](ctx context.Context, to Caller, event string, args ...any) (out Out, err error) {
	answer, err := to.EmitWithAck(ctx, event, args...)
	if err != nil {
		return out, err
	}
	return out, answer.Bind(&out)
}

// Broadcaster is who can be asked with CallAll: a *Namespace or a
// BroadcastOperator.
type Broadcaster interface {
	EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error)
}

// CallAll is Call for many: see BroadcastOperator.EmitWithAck. Answers that do
// not fit Out are left out, and their error is returned with the others.
func CallAll[Out any](ctx context.Context, to Broadcaster, event string, args ...any) ([]Out, error) {
	answers, err := to.EmitWithAck(ctx, event, args...)
	all := make([]Out, 0, len(answers))
	for _, answer := range answers {
		var out Out
		if e := answer.Bind(&out); e != nil {
			err = errors.Join(err, e)
			continue
		}
		all = append(all, out)
	}
	return all, err
}

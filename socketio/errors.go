package socketio

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrReserved is returned for event names that belong to the library:
	// "connect", "connect_error", "disconnect", "disconnecting", "newListener" and
	// "removeListener".
	ErrReserved = errors.New("socketio: reserved event name")
	// ErrDisconnected is returned by operations on a socket that left its namespace.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrTimeout is returned when an acknowledgement did not come in time. It is
	// a context.DeadlineExceeded too.
	ErrTimeout error = timeoutError{}
	// ErrNoAck is returned by Event.Ack when the client did not ask for one.
	ErrNoAck = errors.New("socketio: no acknowledgement was asked for")
	// ErrAcked is returned by Event.Ack after the first call.
	ErrAcked = errors.New("socketio: already acknowledged")
	// ErrParent is returned by operations that need one namespace when they
	// are called on a parent of many.
	ErrParent = errors.New("socketio: not supported on parent namespaces")
	// ErrRooms is returned by Join beyond Limits.Rooms or Limits.RoomName.
	ErrRooms = errors.New("socketio: too many rooms, or name too long")
	// ErrNewSession is what a middleware returns to have a recovered socket (see
	// Socket.Recovered) replaced by a fresh one: with a new id, in no room, without the
	// data and the missed events. The middlewares then run for that one. For a socket
	// that is not a recovered one it is a refusal like any other error.
	ErrNewSession = errors.New("socketio: not the client of the recovered session")
	// ErrClosed is returned by a server that was shut down.
	ErrClosed = errors.New("socketio: server closed")
)

type timeoutError struct{}

func (timeoutError) Error() string        { return "socketio: operation has timed out" }
func (timeoutError) Timeout() bool        { return true }
func (timeoutError) Is(target error) bool { return target == context.DeadlineExceeded }

// ConnectError is what a middleware returns to refuse a socket: the client gets
// a connect_error with this message and data. Of any other error the client
// learns nothing but "connection refused"; its text goes to the log.
type ConnectError struct {
	Message string
	Data    any // left out when nil
}

func (e *ConnectError) Error() string { return "socketio: connection refused: " + e.Message }

// EventError is what the function given to Handle returns to tell the client
// why: the acknowledgement is {"error":{"code":…,"message":…}} with the fields of Data beside
// them. Of any other error the client learns only the code "internal".
type EventError struct {
	Code    string         // for programs, for example "rate_limited"
	Message string         // for people
	Data    map[string]any // further fields
}

func (e *EventError) Error() string { return "socketio: " + e.Code + ": " + e.Message }

// DisconnectError is the cause (see context.Cause) of the end of a Socket's context.
type DisconnectError struct {
	Reason Reason
	Err    error // what the engine knows about it, may be nil
}

func (e *DisconnectError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("socketio: socket is disconnected: %s: %v", e.Reason, e.Err)
	}
	return "socketio: socket is disconnected: " + string(e.Reason)
}

func (e *DisconnectError) Unwrap() error { return e.Err }

// Is makes a DisconnectError an ErrDisconnected.
func (e *DisconnectError) Is(target error) bool { return target == ErrDisconnected }

// Error says how many answers came.
func (e *PartialError) Error() string {
	return fmt.Sprintf("socketio: %s: timeout reached: only %d responses received out of %d", e.Op, e.Received, e.Expected)
}

// Is makes a PartialError an ErrTimeout and a context.DeadlineExceeded.
func (e *PartialError) Is(target error) bool {
	return target == ErrTimeout || target == context.DeadlineExceeded
}

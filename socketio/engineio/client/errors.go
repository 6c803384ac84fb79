package client

import (
	"errors"
	"fmt"

	"posthouse/socketio/engineio"
)

var (
	// ErrClosed is returned by Send when the connection has ended or is closing.
	ErrClosed = errors.New("engineio client: connection closed")
	// ErrBufferFull is returned by Send when more than Options.MaxBuffered would wait.
	ErrBufferFull = errors.New("engineio client: send buffer is full (Options.MaxBuffered)")
	// ErrTooLarge is returned by Send for a message above the maxPayload that the server has
	// told: the server would close the connection.
	ErrTooLarge = errors.New("engineio client: message is larger than the server's maxPayload")
	// ErrMaxPayload is the cause of the end of a connection whose server sent more at once
	// than Options.MaxPayload.
	ErrMaxPayload = errors.New("engineio client: the server sent more than Options.MaxPayload")
	// ErrProtocol is wrapped by the errors about a server that does not speak Engine.IO.
	ErrProtocol = errors.New("engineio client: protocol error")
)

// CloseError is why a connection has ended.
type CloseError struct {
	// Reason is one of the words of engine.io-client: engineio.ReasonTransportClose,
	// ReasonTransportError, ReasonPingTimeout, ReasonParseError or ReasonForcedClose.
	Reason engineio.Reason
	Err    error // what is known about it, may be nil
}

func (e *CloseError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("engineio client: %s: %v", e.Reason, e.Err)
	}
	return "engineio client: " + string(e.Reason)
}

func (e *CloseError) Unwrap() error { return e.Err }

// StatusError is an HTTP answer that is none of Engine.IO: of the server that refuses, or
// of something on the way to it.
type StatusError struct {
	Status int    // of HTTP
	Body   string // its beginning
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("engineio client: HTTP status %d: %q", e.Status, e.Body)
}

// protocolError marks an error about a server that does not speak the protocol.
func protocolError(err error) error { return fmt.Errorf("%w: %w", ErrProtocol, err) }

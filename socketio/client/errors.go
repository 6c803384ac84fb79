package client

import (
	"errors"

	"posthouse/socketio"
	engine "posthouse/socketio/engineio/client"
)

// The reasons of OnDisconnect, in the words of socket.io-client.
const (
	ReasonServerDisconnect = socketio.Reason("io server disconnect") // Connect is up to the program
	ReasonClientDisconnect = socketio.Reason("io client disconnect")
	ReasonPingTimeout      = socketio.Reason("ping timeout")
	ReasonTransportClose   = socketio.Reason("transport close")
	ReasonTransportError   = socketio.Reason("transport error")
	ReasonParseError       = socketio.Reason("parse error")
)

var (
	// ErrBufferFull is returned by Emit when more than Options.MaxBuffered would wait.
	ErrBufferFull = engine.ErrBufferFull
	// ErrTooLarge is returned by Emit for what is larger than the server's maxPayload.
	ErrTooLarge = engine.ErrTooLarge
	// ErrTooManyAcks is returned when more than 65536 acknowledgements are waited for.
	ErrTooManyAcks = errors.New("socketio client: too many acknowledgements are waited for")
	// ErrClosed is returned after Manager.Close.
	ErrClosed = errors.New("socketio client: closed")
	// ErrOldServer is the connect error of a server of Socket.IO 2: set Options.EIO to 3.
	ErrOldServer = errors.New("socketio client: the server speaks the protocol of Socket.IO 2 (Options.EIO = 3)")
	// ErrReconnectFailed ends the wait of Connect after Options.ReconnectAttempts.
	ErrReconnectFailed = errors.New("socketio client: reconnection failed")
)

// errUnexpected is a packet that the protocol forbids at its time.
var errUnexpected = errors.New("socketio client: unexpected packet")

// errRootLeft: servers of Socket.IO 2 connect "/" once, by themselves.
var errRootLeft = errors.New("socketio client: a server of Socket.IO 2 lets \"/\" be joined once for each connection")

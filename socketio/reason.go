package socketio

import "posthouse/socketio/engineio"

// Reason says why a socket was disconnected, in the words of the reference.
type Reason string

// The reasons of docs/protocol.md §5.4. The first five come from
// the engine: the connection is gone.
const (
	ReasonTransportError  = Reason(engineio.ReasonTransportError)
	ReasonTransportClose  = Reason(engineio.ReasonTransportClose)
	ReasonForcedClose     = Reason(engineio.ReasonForcedClose)
	ReasonPingTimeout     = Reason(engineio.ReasonPingTimeout)
	ReasonParseError      = Reason(engineio.ReasonParseError)
	ReasonServerShutdown  = Reason("server shutting down")
	ReasonServerClose     = Reason("forced server close")
	ReasonClientNamespace = Reason("client namespace disconnect") // the client called disconnect()
	ReasonServerNamespace = Reason("server namespace disconnect") // Socket.Disconnect
)

// recoverable reports whether a socket lost for this reason may come back
// (docs/protocol.md §3.8).
func (r Reason) recoverable() bool {
	switch r {
	case ReasonParseError, ReasonClientNamespace, ReasonServerNamespace:
		return false
	}
	return true
}

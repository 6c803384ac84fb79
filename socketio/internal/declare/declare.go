// Package declare adds the types of events that features handle themselves to the contract
// of a namespace (docs/contract.md).
package declare

import (
	"reflect"

	"posthouse/socketio"
)

// Accepts declares an event of clients with the type of its acknowledgement.
func Accepts[Answer any](on any, event string, args ...reflect.Type) {
	declare(on, socketio.EventType{Name: event, Args: args, Answer: reflect.TypeFor[Answer]()})
}

// Emits declares an event of the server.
func Emits[Arg any](on any, event string) {
	declare(on, socketio.EventType{Name: event, FromServer: true, Args: []reflect.Type{reflect.TypeFor[Arg]()}})
}

// declare does nothing for namespaces that have no contract, such as those of a test.
func declare(on any, t socketio.EventType) {
	if d, ok := on.(interface{ DeclareEvent(socketio.EventType) }); ok {
		d.DeclareEvent(t)
	}
}

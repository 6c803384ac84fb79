package contract

import (
	"reflect"

	"posthouse/socketio"
)

// Namespace is what has a contract: a *socketio.Namespace, a *socketio.ParentNamespace
// of OfPattern, or a *socketio.Server for "/".
type Namespace interface {
	Name() string
	DeclareEvent(socketio.EventType)
	EventTypes() []socketio.EventType
	OnConnection(func(*socketio.Socket))
}

// None stands for no argument and for no acknowledgement. As the Out of Handle it says
// that clients send the event and go on: a failure stays with the server.
type None struct{}

// Args2 stands for two arguments: Emits[Args2[string, int]] declares Emit(name, text, n).
type Args2[A, B any] struct {
	First  A
	Second B
}

// Args3 stands for three arguments: see Args2.
type Args3[A, B, C any] struct {
	First  A
	Second B
	Third  C
}

// argumentList is implemented by Args2 and Args3.
type argumentList interface{ arguments() []reflect.Type }

func (Args2[A, B]) arguments() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B]()}
}

func (Args3[A, B, C]) arguments() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[A](), reflect.TypeFor[B](), reflect.TypeFor[C]()}
}

// Emits declares an event that the server sends: T is its argument, None that it has
// none, Args2 and Args3 that it has several.
func Emits[T any](on Namespace, event string) { declare[T, None](on, event, true) }

// EmitsWithAck declares an event whose acknowledgement the server asks for; Answer is
// what the client's callback gives, None that it gives nothing.
func EmitsWithAck[T, Answer any](on Namespace, event string) {
	on.DeclareEvent(socketio.EventType{
		Name: event, FromServer: true, Args: argumentsOf[T](), Answer: reflect.TypeFor[Answer](),
	})
}

// Accepts declares an event of clients that Handle does not know: one that is handled
// with On, or with Handle on each socket. Out is the acknowledgement, None that there is
// none. An argument that is a pointer may be left out.
func Accepts[In, Out any](on Namespace, event string) { declare[In, Out](on, event, false) }

func declare[T, Answer any](on Namespace, event string, fromServer bool) {
	t := socketio.EventType{Name: event, FromServer: fromServer, Args: argumentsOf[T](), Answer: reflect.TypeFor[Answer]()}
	if t.Answer == noneType {
		t.Answer = nil
	}
	on.DeclareEvent(t)
}

var noneType = reflect.TypeFor[None]()

func argumentsOf[T any]() []reflect.Type {
	var zero T
	if list, ok := any(zero).(argumentList); ok {
		return list.arguments()
	}
	return []reflect.Type{reflect.TypeFor[T]()}
}

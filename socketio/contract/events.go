package contract

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
)

// namespaceEvents are the events of one namespace with the schemas of their types.
type namespaceEvents struct {
	name   string // "/chat"
	prefix string // of its interfaces: "Chat", or "" when it is the only one
	events []event
}

type event struct {
	socketio.EventType
	args        []*huma.Schema
	optionalArg bool         // the only argument may be left out
	answer      *huma.Schema // nil: no acknowledgement, or one without arguments
}

// fromNamespaces reads the declarations of all namespaces.
func (s *schemas) fromNamespaces(namespaces []Namespace) ([]namespaceEvents, error) {
	if len(namespaces) == 0 {
		return nil, errNoNamespace
	}
	var all []namespaceEvents
	prefixes := map[string]string{}
	for _, ns := range namespaces {
		name := ns.Name()
		if name == "" {
			return nil, fmt.Errorf("contract: a parent namespace without a pattern has no name: make it with OfPattern")
		}
		n := namespaceEvents{name: name}
		if len(namespaces) > 1 {
			n.prefix = identifier(name)
		}
		if other, taken := prefixes[n.prefix]; taken {
			return nil, fmt.Errorf("contract: namespaces %s and %s would both be %q: write them into two files", other, name, n.prefix)
		}
		prefixes[n.prefix] = name
		var err error
		if n.events, err = s.fromNamespace(ns); err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

// fromNamespace reads the declarations of one namespace. An event that is declared
// twice must have the same types.
func (s *schemas) fromNamespace(ns Namespace) ([]event, error) {
	var events []event
	seen := map[string]socketio.EventType{}
	for _, t := range ns.EventTypes() {
		key := fmt.Sprint(t.FromServer, t.Name)
		if before, ok := seen[key]; ok {
			if !sameTypes(before, t) {
				return nil, fmt.Errorf("contract: event %q of %s is declared twice, with different types", t.Name, ns.Name())
			}
			continue
		}
		seen[key] = t
		e, err := s.event(t)
		if err != nil {
			return nil, fmt.Errorf("%w (event %q of %s)", err, t.Name, ns.Name())
		}
		events = append(events, e)
	}
	return events, nil
}

func sameTypes(a, b socketio.EventType) bool {
	if len(a.Args) != len(b.Args) || a.Answer != b.Answer {
		return false
	}
	for i, t := range a.Args {
		if b.Args[i] != t {
			return false
		}
	}
	return true
}

func (s *schemas) event(t socketio.EventType) (event, error) {
	e := event{EventType: t}
	if len(t.Args) == 1 {
		e.optionalArg = !t.FromServer && t.Args[0].Kind() == reflect.Pointer
	}
	for _, arg := range t.Args {
		if len(t.Args) == 1 && isEmptyStruct(arg) {
			break // an event without arguments gives Handle its zero value
		}
		schema, err := s.of(arg, typeName(arg))
		if err != nil {
			return e, err
		}
		if arg.Kind() == reflect.Pointer && schema.Ref != "" && t.FromServer {
			schema.Nullable = true
		}
		e.args = append(e.args, schema)
	}
	if t.Answer == noneType && !t.FromServer {
		e.Answer = nil // a client goes on without waiting
	}
	if e.Answer == nil || t.Answer == noneType {
		return e, nil
	}
	var err error
	if e.answer, err = s.of(t.Answer, typeName(t.Answer)); err == nil && t.Answer.Kind() == reflect.Pointer && e.answer.Ref != "" {
		e.answer.Nullable = true
	}
	return e, err
}

// isEmptyStruct tells None and struct{} from other types.
func isEmptyStruct(t reflect.Type) bool {
	return t == noneType || t.Kind() == reflect.Struct && t.Name() == "" && t.NumField() == 0
}

// typeName is how an error begins that is about t.
func typeName(t reflect.Type) string {
	text := t.String()
	return text[strings.LastIndexByte(text, '.')+1:]
}

// byDirection returns the events that the server sends, or those that clients send.
func (n *namespaceEvents) byDirection(fromServer bool) []event {
	var list []event
	for _, e := range n.events {
		if e.FromServer == fromServer {
			list = append(list, e)
		}
	}
	return list
}

package socketio

import (
	"reflect"
	"slices"
	"strings"
)

// EventType says which Go types an event of a namespace has. Handle declares those of
// its events; package contract declares others, writes TypeScript and AsyncAPI from
// them and checks payloads against them.
type EventType struct {
	Name       string
	FromServer bool           // the server sends it; otherwise the clients do
	Args       []reflect.Type // none: the event has no arguments
	Answer     reflect.Type   // of the acknowledgement; nil: the event has none
}

// DeclareEvent adds an event to those that EventTypes lists. Nothing else happens: no
// event is refused because its type was not declared.
func (n *Namespace) DeclareEvent(t EventType) {
	n.updateHandlers(func(h *sharedHandlers) { h.eventTypes = append(h.eventTypes, t) })
}

// EventTypes returns what Handle and DeclareEvent have declared on the namespace, in
// the order of the names. Handlers of a single socket are not in it.
func (n *Namespace) EventTypes() []EventType {
	all := slices.Clone(n.sharedHandlers.Load().eventTypes)
	slices.SortStableFunc(all, func(a, b EventType) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// DeclareEvent is as Namespace.DeclareEvent, for the children made from now on.
func (p *ParentNamespace) DeclareEvent(t EventType) { p.prototype.DeclareEvent(t) }

// EventTypes is as Namespace.EventTypes.
func (p *ParentNamespace) EventTypes() []EventType { return p.prototype.EventTypes() }

// Name returns the pattern given to OfPattern, and "" for a parent whose names no
// pattern describes.
func (p *ParentNamespace) Name() string { return p.pattern.String() }

// declare adds the event of a typed handler where handlers are shared. Those of one
// socket are not recorded: they would cost memory for each connection.
func declare[In, Out any](on Events, event string) {
	declarer, ok := on.(interface{ DeclareEvent(EventType) })
	if !ok {
		return
	}
	declarer.DeclareEvent(EventType{
		Name: event, Args: []reflect.Type{reflect.TypeFor[In]()}, Answer: reflect.TypeFor[Out](),
	})
}

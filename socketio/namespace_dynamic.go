package socketio

import (
	"context"
	"encoding/json"
	"regexp"
)

// ParentNamespace makes namespaces on demand (docs/protocol.md §3.7).
// A handler registered on it counts for each child made afterwards; operators and
// Emit reach all children.
type ParentNamespace struct {
	server     *Server
	acceptName func(ctx context.Context, name string, auth json.RawMessage) bool
	pattern    namePattern           // of OfPattern
	prototype  *Namespace            // holds the handlers, has no sockets
	children   map[string]*Namespace // copied on write under Server.mu

	patternText   string         // of OfPattern
	formerTraffic NamespaceStats // of children that are gone, with a pattern; guarded by Server.mu
}

// OfFunc adds dynamic namespaces: when a client wants one that does not exist,
// the functions given here are asked in their order, and the first to accept it
// creates it. ctx ends when the client goes away. It should be quick to
// say no; names are at most 255 bytes, and clients choose them.
func (s *Server) OfFunc(accept func(ctx context.Context, name string, auth json.RawMessage) bool) *ParentNamespace {
	return s.addParent(&ParentNamespace{acceptName: accept})
}

func (s *Server) addParent(p *ParentNamespace) *ParentNamespace {
	p.server = s
	p.prototype = &Namespace{name: "/_parent", server: s}
	p.prototype.sharedHandlers.Store(new(sharedHandlers).clone())
	s.mu.Lock()
	s.parentNamespaces = append(s.parentNamespaces, p)
	s.mu.Unlock()
	return p
}

// OfRegexp is OfFunc for the names that a pattern matches. Anchor it: an
// unanchored pattern matches anywhere in the name.
func (s *Server) OfRegexp(pattern *regexp.Regexp) *ParentNamespace {
	return s.OfFunc(func(_ context.Context, name string, _ json.RawMessage) bool {
		return pattern.MatchString(name)
	})
}

func (p *ParentNamespace) handlers() *sharedHandlers { return p.prototype.sharedHandlers.Load() }

// Use is as Namespace.Use, for the children made from now on.
func (p *ParentNamespace) Use(fn Middleware) { p.prototype.Use(fn) }

// OnConnection is as Namespace.OnConnection, for the children made from now on.
func (p *ParentNamespace) OnConnection(fn func(*Socket)) { p.prototype.OnConnection(fn) }

// OnEvent is as Namespace.OnEvent, for the children made from now on.
func (p *ParentNamespace) OnEvent(event string, fn func(*Event)) { p.prototype.OnEvent(event, fn) }

// OnDisconnect is as Namespace.OnDisconnect, for the children made from now on.
func (p *ParentNamespace) OnDisconnect(fn func(*Socket, Reason)) { p.prototype.OnDisconnect(fn) }

// Namespaces returns the children that exist now.
func (p *ParentNamespace) Namespaces() []*Namespace {
	p.server.mu.Lock()
	children := p.children // never changed in place
	p.server.mu.Unlock()
	all := make([]*Namespace, 0, len(children))
	for _, n := range children {
		all = append(all, n)
	}
	return all
}

func (p *ParentNamespace) allSockets() BroadcastOperator { return BroadcastOperator{parent: p} }

// To returns an operator for the sockets of all children in any of the rooms.
func (p *ParentNamespace) To(rooms ...string) BroadcastOperator { return p.allSockets().To(rooms...) }

// In is To.
func (p *ParentNamespace) In(rooms ...string) BroadcastOperator { return p.allSockets().To(rooms...) }

// Except returns an operator for the sockets of all children in none of the rooms.
func (p *ParentNamespace) Except(rooms ...string) BroadcastOperator {
	return p.allSockets().Except(rooms...)
}

// Emit sends an event to the sockets of all children of this node's server, on all nodes.
func (p *ParentNamespace) Emit(event string, args ...any) error {
	return p.allSockets().Emit(event, args...)
}

package socketio

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
)

// namespaceEntry is a namespace in the server's table, from the moment a caller begins
// to make it until its adapter is closed. Adapters are made and closed without a
// lock held; callers that come meanwhile wait.
type namespaceEntry struct {
	ready       chan struct{} // closed when ns or err is set
	ns          *Namespace
	err         error
	isMade      bool          // ready is closed and err is nil
	socketCount int           // sockets, connecting ones included
	closing     bool          // empty and about to be forgotten
	removed     chan struct{} // closed when it is no longer in the table
}

// findOrMake finds or makes a namespace. hold counts a socket in, so that the namespace is not
// forgotten before release.
func (s *Server) findOrMake(name string, parent *ParentNamespace, hold bool) (*Namespace, error) {
	for {
		s.mu.Lock()
		e := s.namespacesByName[name]
		switch {
		case e == nil && s.shutdownCalled:
			s.mu.Unlock()
			return nil, ErrClosed
		case e == nil:
			e = &namespaceEntry{ready: make(chan struct{}), removed: make(chan struct{})}
			s.namespacesByName[name] = e
			s.mu.Unlock()
			s.makeNamespace(e, name, parent)
		case e.closing:
			s.mu.Unlock()
			<-e.removed
		case !e.isMade:
			s.mu.Unlock()
			<-e.ready
		default:
			if hold {
				e.socketCount++
			}
			s.mu.Unlock()
			return e.ns, nil
		}
		if e.err != nil {
			return nil, e.err
		}
	}
}

func (s *Server) makeNamespace(e *namespaceEntry, name string, parent *ParentNamespace) {
	ns, err := s.makeAnnounced(name, parent)
	s.mu.Lock()
	e.ns, e.err, e.isMade = ns, err, err == nil
	if err != nil {
		delete(s.namespacesByName, name)
	} else if parent != nil {
		parent.children = maps.Clone(parent.children)
		if parent.children == nil {
			parent.children = map[string]*Namespace{}
		}
		parent.children[name] = ns
	}
	s.mu.Unlock()
	close(e.ready)
}

// makeAnnounced makes a namespace and tells the functions of OnNamespace. One of them,
// or Options.NewAdapter, that panics undoes the namespace: its entry must not stay
// behind unfinished, where every later CONNECT would wait for it.
func (s *Server) makeAnnounced(name string, parent *ParentNamespace) (ns *Namespace, err error) {
	defer func() {
		if v := recover(); v != nil {
			s.logPanic(name, v)
			if ns != nil {
				_ = ns.adapter.Close() // the panic is what matters
			}
			ns, err = nil, errPanic
		}
	}()
	if ns, err = newNamespace(s, name, parent); err != nil {
		return nil, err
	}
	s.mu.Lock()
	hooks := slices.Clone(s.onNamespace)
	s.mu.Unlock()
	for _, fn := range hooks {
		fn(ns)
	}
	return ns, nil
}

// hasNamespace reports whether a namespace is in the table and stays there.
func (s *Server) hasNamespace(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.namespacesByName[name]
	return e != nil && !e.closing
}

// parentFor asks the dynamic namespaces, in their order, for one that accepts name.
func (s *Server) parentFor(ctx context.Context, name string, auth json.RawMessage) *ParentNamespace {
	s.mu.Lock()
	parents := slices.Clone(s.parentNamespaces)
	s.mu.Unlock()
	for _, p := range parents {
		if p.acceptName(ctx, name, auth) {
			return p
		}
	}
	return nil
}

// namespaceFor finds the namespace that a client asks for and counts its socket in.
func (s *Server) namespaceFor(a *pendingConnect) (_ *Namespace, err error) {
	var parent *ParentNamespace
	if !s.hasNamespace(a.namespaceName) {
		ctx, cancel := context.WithCancel(a.conn.ctx)
		defer cancel()
		if !a.cancelWith(cancel) {
			return nil, context.Canceled
		}
		defer func() {
			if v := recover(); v != nil {
				s.logPanic(a.namespaceName, v)
				err = errPanic
			}
		}()
		if parent = s.parentFor(ctx, a.namespaceName, a.authData); parent == nil {
			return nil, errUnknown
		}
	}
	return s.findOrMake(a.namespaceName, parent, true)
}

// releaseSocket counts a socket out; an empty dynamic namespace is forgotten.
func (n *Namespace) releaseSocket() {
	s := n.server
	s.mu.Lock()
	e := s.namespacesByName[n.name]
	e.socketCount--
	empty := e.socketCount == 0 && n.parent != nil && !s.options.KeepEmptyNamespaces && !s.shutdownCalled
	e.closing = empty
	s.mu.Unlock()
	if !empty {
		return
	}
	if err := n.adapter.Close(); err != nil {
		s.log.Warn("socketio: adapter did not close", "namespace", n.name, "error", err)
	}
	s.mu.Lock()
	former := &s.formerTraffic
	if n.Pattern() != "" {
		former = &n.parent.formerTraffic
	}
	*former = former.plus(n.Stats())
	delete(s.namespacesByName, n.name)
	n.parent.children = maps.Clone(n.parent.children)
	delete(n.parent.children, n.name)
	s.mu.Unlock()
	close(e.removed)
}

// listNamespaces returns the namespaces that exist now.
func (s *Server) listNamespaces() []*Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Namespace
	for _, e := range s.namespacesByName {
		if e.isMade {
			all = append(all, e.ns)
		}
	}
	return all
}

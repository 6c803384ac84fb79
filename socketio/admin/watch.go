package admin

import (
	"context"
	"encoding/json"
	"time"

	"posthouse/socketio"
)

// Verbose messages are made only while an administrator looks. Those connected here are
// known at once; a Go node tells the others of its first one (watchEvent), and all nodes
// ask every watchInterval, which finds the administrators of Node servers too and finds
// out that the last one has gone.
const (
	watchInterval = 5 * time.Second
	watchPatience = 2500 * time.Millisecond
	watchEvent    = "posthouse:admin-connected"
)

// watchedNamespace is a namespace that exists, or did a moment ago.
type watchedNamespace struct {
	stop func() // takes the watcher away; nil: there is none
	seen bool   // Server.Namespaces has listed it
}

// addNamespace makes a namespace known; it may not be listed yet.
func (a *Admin) addNamespace(n *socketio.Namespace) {
	if a.options.Mode == Production {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watched[n] == nil {
		a.watched[n] = &watchedNamespace{}
		a.updateWatchersLocked()
	}
}

// forgetNamespaces drops the namespaces that are gone.
func (a *Admin) forgetNamespaces() {
	exists := map[*socketio.Namespace]bool{}
	for _, n := range a.io.Namespaces() {
		exists[n] = true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, w := range a.watched {
		if exists[n] {
			w.seen = true
		} else if w.seen {
			delete(a.watched, n)
		}
	}
}

// updateWatchersLocked gives all namespaces watchers, or takes them away; the caller
// holds a.mu.
func (a *Admin) updateWatchersLocked() {
	a.watching = !a.isClosed && (len(a.lookers) > 0 || a.remote)
	for n, w := range a.watched {
		switch {
		case a.watching && w.stop == nil:
			w.stop = n.Watch(a.watcherOf(n))
		case !a.watching && w.stop != nil:
			w.stop()
			w.stop = nil
		}
	}
}

func (a *Admin) setRemote(remote bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remote = remote
	a.updateWatchersLocked()
}

// audience is the operator that reaches those who look: nothing is published to other
// nodes while only administrators of this one do.
func (a *Admin) audience() interface {
	Emit(event string, args ...any) error
} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.remote {
		return a.namespace
	}
	return a.namespace.Local()
}

// runWatch asks for administrators of other nodes.
func (a *Admin) runWatch() {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		a.askOthers()
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return
		}
	}
}

func (a *Admin) askOthers() {
	ctx, cancel := context.WithTimeout(a.ctx, watchPatience)
	defer cancel()
	if nodes, err := a.namespace.Adapter().ServerCount(ctx); err == nil && nodes <= 1 {
		a.setRemote(false)
		return
	}
	sockets, err := a.namespace.FetchSockets(ctx)
	for _, s := range sockets {
		if a.namespace.Socket(s.ID()) == nil && looks(s) {
			a.setRemote(true)
			return
		}
	}
	if err == nil {
		a.setRemote(false)
	} // else the node that is silent may have one
}

// looks reports whether a remote administrator sees everything; those of Node servers do.
func looks(s *socketio.RemoteSocket) bool {
	var d detail
	if json.Unmarshal(s.Detail(detailName), &d) != nil {
		return true
	}
	return d.Looks == nil || *d.Looks
}

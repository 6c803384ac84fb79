package gateway

import (
	"slices"

	"posthouse/adapter"
	"posthouse/socketio"
	"posthouse/socketio/access"
	"posthouse/socketio/history"
	"posthouse/socketio/presence"
)

// addRoomFeatures adds the history and the presence of a namespace to its rules.
func (a *App) addRoomFeatures(n *Namespace, ns attachable, o *access.Options) (err error) {
	if n.History != nil {
		rooms, err := access.Matching(n.History.Rooms...)
		if err != nil {
			return err // normalize has looked at it
		}
		o.History, err = history.New(&history.Options{Rooms: rooms, Events: n.History.Events, Age: n.History.age, Logger: a.log.With("namespace", n.Name)})
		if err != nil {
			return &configError{"namespaces." + n.Name + ".history", "is not usable", err.Error()}
		}
	}
	if len(n.Presence) == 0 {
		return nil
	}
	rooms, err := access.Matching(n.Presence...)
	if err != nil {
		return err // normalize has looked at it
	}
	p := &presence.Options{Rooms: rooms, User: userOf, Logger: a.log.With("namespace", n.Name)}
	if a.redisClient != nil {
		if p.Store, err = adapter.NewPresence(a.redisClient, &adapter.PresenceOptions{Key: a.config.AdapterKey}); err != nil {
			return err
		}
	}
	if o.Presence, err = presence.New(p); err != nil {
		return err
	}
	a.namespaces.presences = append(a.namespaces.presences, namespacePresence{n.Name, o.Presence, servedBy(ns)})
	return nil
}

// userOf is the user of a socket, "" without one.
func userOf(s *socketio.Socket) string {
	user, _ := claimOf(s, "sub")
	return user
}

// servedBy reports whether a namespace is ns or a child of it.
func servedBy(ns attachable) func(n *socketio.Namespace) bool {
	parent, ok := ns.(*socketio.ParentNamespace)
	if !ok {
		return func(n *socketio.Namespace) bool { return ns == attachable(n) }
	}
	return func(n *socketio.Namespace) bool { return slices.Contains(parent.Namespaces(), n) }
}

// presenceOf finds the presence of a namespace; nil without.
func (a *App) presenceOf(n *socketio.Namespace) *presence.Presence {
	if a.namespaces == nil {
		return nil
	}
	for _, p := range a.namespaces.presences {
		if p.served(n) {
			return p.here
		}
	}
	return nil
}

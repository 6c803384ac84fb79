package admin

import (
	"time"

	"posthouse/socketio"
)

// watcherOf turns what happens in a namespace into notices.
func (a *Admin) watcherOf(n *socketio.Namespace) socketio.Watcher {
	add := func(v notice) {
		v.namespace, v.at = n, time.Now()
		a.notices.add(v)
	}
	o := socketio.Watcher{
		Connected: func(s *socketio.Socket, rooms []string) {
			add(notice{kind: connectedNotice, socket: s, id: s.ID(), rooms: rooms})
		},
		Disconnected: func(s *socketio.Socket, reason socketio.Reason) {
			add(notice{kind: disconnectedNotice, socket: s, id: s.ID(), reason: reason})
		},
		Joined: func(room, id string) { add(notice{kind: joinedNotice, room: room, id: id}) },
		Left:   func(room, id string) { add(notice{kind: leftNotice, room: room, id: id}) },
		Upgraded: func(s *socketio.Socket, transport string) {
			add(notice{kind: upgradedNotice, socket: s, id: s.ID(), transport: transport})
		},
		DataChanged: func(s *socketio.Socket) {
			if s.Connected() { // what a middleware sets comes with the connection
				add(notice{kind: dataNotice, socket: s, id: s.ID()})
			}
		},
	}
	if n == a.namespace {
		return o // the events of administrators would tell of themselves
	}
	o.Received = func(e *socketio.Event) {
		a.addEvent(n, receivedNotice, e.Socket(), e.Name(), e.Args())
	}
	o.Sent = func(s *socketio.Socket, event string, args socketio.Args) {
		a.addEvent(n, sentNotice, s, event, args)
	}
	return o
}

// addEvent makes the notice of an event. Its arguments are shortened here, since they are
// valid only during the call; the budget is asked first, since that costs.
func (a *Admin) addEvent(n *socketio.Namespace, kind noticeKind, s *socketio.Socket, event string, args socketio.Args) {
	if !a.budget.take(true) {
		a.counts.dropped.Add(1)
		return
	}
	a.notices.queue(notice{
		kind: kind, namespace: n, socket: s, id: s.ID(), at: time.Now(),
		event: eventArray(event, args, a.hidesArguments(n.Name(), event)),
	})
}

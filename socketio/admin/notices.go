package admin

import (
	"encoding/json"
	"sync"
	"time"

	"posthouse/socketio"
)

// notice is one message for administrators, on its way.
type notice struct {
	kind      noticeKind
	namespace *socketio.Namespace
	socket    *socketio.Socket // of all kinds but joined and left
	id        string
	room      string
	rooms     []string
	reason    socketio.Reason
	transport string
	event     json.RawMessage // [name, …args]
	at        time.Time
	task      func() // of taskNotice
}

type noticeKind uint8

const (
	connectedNotice noticeKind = iota
	disconnectedNotice
	joinedNotice
	leftNotice
	upgradedNotice
	dataNotice
	receivedNotice
	sentNotice
	taskNotice // runs a function in the order of the notices
)

// maxNotices bounds the notices that wait; more are dropped. The budget lets in fewer,
// unless a publisher is slow.
const maxNotices = 4096

// noticeQueue keeps notices in the order in which they were made: one goroutine sends
// them, and exists only while there are some.
type noticeQueue struct {
	admin *Admin

	mu      sync.Mutex // guards what follows
	waiting []notice
	running bool

	recordings []*recording // used by the goroutine that sends only
}

// add queues a notice about a socket or a room, if the budget allows it.
func (q *noticeQueue) add(n notice) {
	if !q.admin.budget.take(false) {
		q.admin.counts.dropped.Add(1)
		return
	}
	q.queue(n)
}

// queue queues a notice that the budget has allowed, or a task.
func (q *noticeQueue) queue(n notice) {
	q.mu.Lock()
	if n.kind != taskNotice && len(q.waiting) >= maxNotices {
		q.mu.Unlock()
		q.admin.counts.dropped.Add(1)
		return
	}
	q.waiting = append(q.waiting, n)
	start := !q.running
	q.running = true
	q.mu.Unlock()
	if start {
		q.admin.start(q.send)
	}
}

// send sends what waits, until nothing does.
func (q *noticeQueue) send() {
	for {
		q.mu.Lock()
		batch := q.waiting
		q.waiting = nil
		if len(batch) == 0 || q.admin.ctx.Err() != nil {
			q.running = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		to := q.admin.audience()
		for i := range batch {
			n := &batch[i]
			if n.kind == taskNotice {
				n.task()
				continue
			}
			m := q.admin.message(n)
			_ = to.Emit(m.event, m.args...) // a closed adapter ends with the server
			q.admin.counts.sent.Add(1)
			for _, r := range q.recordings {
				r.notices = append(r.notices, n)
			}
		}
	}
}

// message is what the page gets.
type message struct {
	event string
	args  []any
}

// socketChange is the argument of socket_updated.
type socketChange struct {
	ID        string          `json:"id"`
	Namespace string          `json:"nsp"`
	Transport string          `json:"transport,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// message makes the message of a notice.
func (a *Admin) message(n *notice) message {
	namespace, at := n.namespace.Name(), timestamp(n.at)
	switch n.kind {
	case connectedNotice:
		return message{"socket_connected", []any{a.describe(n), at}}
	case disconnectedNotice:
		return message{"socket_disconnected", []any{namespace, n.id, n.reason, at}}
	case joinedNotice:
		return message{"room_joined", []any{namespace, n.room, n.id, at}}
	case leftNotice:
		return message{"room_left", []any{namespace, n.room, n.id, at}}
	case upgradedNotice:
		return message{"socket_updated", []any{socketChange{ID: n.id, Namespace: namespace, Transport: n.transport}}}
	case dataNotice:
		return message{"socket_updated", []any{socketChange{ID: n.id, Namespace: namespace, Data: a.describe(n).Data}}}
	case receivedNotice:
		return message{"event_received", []any{namespace, n.id, n.event, at}}
	default:
		return message{"event_sent", []any{namespace, n.id, n.event, at}}
	}
}

// describe makes the page's form of the notice's socket, in the rooms of that moment.
func (a *Admin) describe(n *notice) adminSocket {
	d := n.socket.Details()
	d.Rooms = n.rooms
	return a.serialize(n.namespace.Name(), d)
}

// timestamp is JSON's form of a JavaScript Date.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

package main

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"posthouse/socketio"
)

const (
	keptMessages = 100 // per room; older ones are forgotten
	keptRooms    = 200 // beyond, the room that was quiet the longest is forgotten
)

// history keeps the last messages of each room in memory. Each replica has one;
// they tell each other with server-side events.
type history struct {
	mu    sync.Mutex // guards what follows
	rooms map[string]*talk
}

type talk struct {
	messages []Message // in the order of At
	used     time.Time
	asked    bool // the other replicas were asked for what they have
}

func newHistory() *history { return &history{rooms: map[string]*talk{}} }

// add gives a message its time and keeps it. If the same person sent one with the
// same id before, that one is returned, and false.
func (h *history) add(m Message) (Message, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.room(m.Room)
	if i := slices.IndexFunc(t.messages, m.same); i >= 0 {
		return t.messages[i], false
	}
	m.At = time.Now().UnixMilli()
	if n := len(t.messages); n > 0 {
		m.At = max(m.At, t.messages[n-1].At+1) // so that all members see one order
	}
	t.insert(m)
	return m, true
}

// merge keeps messages that other replicas took.
func (h *history) merge(all ...Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range all {
		if t := h.room(m.Room); !slices.ContainsFunc(t.messages, m.same) {
			t.insert(m)
		}
	}
}

// of returns what is kept of a room, the oldest first.
func (h *history) of(name string) []Message {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.rooms[name]; t != nil {
		return slices.Clone(t.messages)
	}
	return []Message{}
}

// first reports whether the other replicas have not been asked about a room yet.
func (h *history) first(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.room(name)
	asked := t.asked
	t.asked = true
	return !asked
}

// room finds or makes a room. It is called with the lock held.
func (h *history) room(name string) *talk {
	t := h.rooms[name]
	if t == nil {
		if len(h.rooms) >= keptRooms {
			var quiet string
			for n, r := range h.rooms {
				if quiet == "" || r.used.Before(h.rooms[quiet].used) {
					quiet = n
				}
			}
			delete(h.rooms, quiet)
		}
		t = &talk{messages: []Message{}}
		h.rooms[name] = t
	}
	t.used = time.Now()
	return t
}

func (t *talk) insert(m Message) {
	i, _ := slices.BinarySearchFunc(t.messages, m, Message.compare)
	t.messages = slices.Insert(t.messages, i, m)
	if over := len(t.messages) - keptMessages; over > 0 {
		t.messages = slices.Delete(t.messages, 0, over)
	}
}

func (m Message) same(other Message) bool { return m.ID == other.ID && m.From.ID == other.From.ID }

func (m Message) compare(other Message) int {
	return cmp.Or(cmp.Compare(m.At, other.At), cmp.Compare(m.ID, other.ID))
}

// saidElsewhere keeps what a person said on another replica; the people in the
// room here have got it by the broadcast.
func (c *chat) saidElsewhere(e *socketio.ServerSideEvent) {
	var m Message
	if e.Bind(&m) == nil {
		c.history.merge(m)
	}
}

// fetchHistory asks the other replicas about a room that is new to this one, which
// may have started later than they. A single server has none to ask.
func (c *chat) fetchHistory(ctx context.Context, name string) {
	if !c.history.first(name) {
		return
	}
	answers, _ := c.io.ServerSideEmitWithAck(ctx, "history", name)
	for _, answer := range answers { // one from each replica
		var messages []Message
		if answer.Bind(&messages) == nil {
			c.history.merge(messages...)
		}
	}
}

// askedForHistory answers fetchHistory of another replica.
func (c *chat) askedForHistory(e *socketio.ServerSideEvent) {
	var name string
	if e.Bind(&name) == nil {
		_ = e.Ack(c.history.of(name))
	}
}

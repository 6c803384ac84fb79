package history

import (
	"container/list"
	"context"
	"sync"
	"time"

	"posthouse/socketio"
)

// maxMemory bounds the events of one node in memory: the room that was silent longest
// makes room.
const maxMemory = 64 << 20

// entryOverhead is about what an entry costs besides its text.
const entryOverhead = 64

// memory keeps the events of one node.
type memory struct {
	mu    sync.Mutex // guards what follows
	rooms map[roomKey]*memoryRoom
	order *list.List // of rooms, the one that was silent longest first
	size  int
	last  socketio.RecordID
}

type roomKey struct{ namespace, room string }

// memoryRoom is the past of one room.
type memoryRoom struct {
	key     roomKey
	element *list.Element
	items   []Item
	size    int
	age     time.Duration
	last    socketio.RecordID
	lost    bool // there were older ones
}

func newMemory() *memory { return &memory{rooms: map[roomKey]*memoryRoom{}, order: list.New()} }

// memoryOf is the Store of one namespace.
type memoryOf struct {
	*memory
	namespace string
}

// add keeps an event and settles its ids.
func (m *memory) add(namespace string, r *socketio.Recorded) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := uint64(time.Now().UnixMilli())
	ids := make([]socketio.RecordID, len(r.Rooms))
	for i, name := range r.Rooms {
		if now > m.last.Millis {
			m.last = socketio.RecordID{Millis: now}
		} else {
			m.last.Sequence++ // the clock stands still or went back
		}
		ids[i] = m.last
		m.addLocked(roomKey{namespace, name}, Item{m.last, r.Entry}, r.Events, r.Age)
	}
	m.dropLocked()
	r.Settle(ids)
}

func (m *memory) addLocked(key roomKey, item Item, events int, age time.Duration) {
	room := m.rooms[key]
	if room == nil {
		room = &memoryRoom{key: key}
		room.element = m.order.PushBack(room)
		m.rooms[key] = room
	}
	m.order.MoveToBack(room.element)
	room.age, room.last = age, item.ID
	room.items = append(room.items, item)
	m.grow(room, len(item.Entry)+entryOverhead)
	m.cut(room, len(room.items)-events)
	m.expireLocked(room)
}

func (m *memory) grow(room *memoryRoom, by int) {
	room.size += by
	m.size += by
}

// cut forgets the n oldest events of a room.
func (m *memory) cut(room *memoryRoom, n int) {
	if n <= 0 {
		return
	}
	for i := range n {
		m.grow(room, -len(room.items[i].Entry)-entryOverhead)
		room.items[i] = Item{}
	}
	room.items = room.items[n:] // append moves them when the array ends
	room.lost = true
}

// expireLocked forgets what is too old.
func (m *memory) expireLocked(room *memoryRoom) {
	oldest := uint64(max(0, time.Now().Add(-room.age).UnixMilli()))
	n := 0
	for n < len(room.items) && room.items[n].ID.Millis < oldest {
		n++
	}
	m.cut(room, n)
}

// dropLocked forgets rooms that were silent longest: those whose events are all too old for
// a week, and more when there is too much. A room that is remembered without events still
// knows that it had some.
func (m *memory) dropLocked() {
	for e := m.order.Front(); e != nil; e = m.order.Front() {
		room := e.Value.(*memoryRoom)
		silent := time.Since(time.UnixMilli(int64(room.last.Millis)))
		if m.size <= maxMemory && len(m.rooms) <= maxRooms && silent < room.age+markAge {
			return
		}
		m.grow(room, -room.size)
		m.order.Remove(e)
		delete(m.rooms, room.key)
	}
}

const (
	// maxRooms bounds the rooms in memory.
	maxRooms = 100_000
	// markAge is how long a room whose events are all too old is known to have had some.
	markAge = 7 * 24 * time.Hour
)

// Last implements Store.
func (m memoryOf) Last(_ context.Context, name string) (socketio.RecordID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if room := m.rooms[roomKey{m.namespace, name}]; room != nil {
		return room.last, nil
	}
	return socketio.RecordID{}, nil
}

// Read implements Store.
func (m memoryOf) Read(_ context.Context, q Query) (*Slice, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := m.rooms[roomKey{m.namespace, q.Room}]
	if room == nil {
		return &Slice{}, nil
	}
	m.expireLocked(room)
	end := len(room.items)
	for end > 0 && room.items[end-1].ID.Compare(q.Until) > 0 {
		end--
	}
	start := max(0, end-q.Limit)
	return &Slice{Items: append([]Item(nil), room.items[start:end]...), More: start > 0, Lost: room.lost}, nil
}

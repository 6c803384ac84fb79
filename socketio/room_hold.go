package socketio

import (
	"errors"
	"slices"
	"sync"
	"time"

	"posthouse/socketio/engineio"
)

// ErrHoldOverflow means that more events came for a held room than a RoomHold keeps.
var ErrHoldOverflow = errors.New("socketio: too many events came while a room was held")

const (
	holdEvents = 4096
	holdBytes  = 4 << 20
	// holdFence is how long after its release a hold still drops what was in the snapshot:
	// a message of another node may be late.
	holdFence = 30 * time.Second
)

// RoomHold keeps back, for one socket, what is sent to one room, so that a snapshot of the
// room's history can go first. Events that the snapshot holds are dropped afterwards, by
// their RecordID; all others follow it, once. HoldRoom makes one, before the socket joins.
type RoomHold struct {
	local  *LocalAdapter
	socket *Socket
	room   string

	mu       sync.Mutex // guards what follows; a session's lock may be taken under it
	held     []heldEvent
	bytes    int
	overflow bool
	released bool
	last     RecordID // the newest event of the snapshot
}

// heldEvent is one event of a held room.
type heldEvent struct {
	frames   []*engineio.Frame
	recorded *Recorded
}

// roomHolds are the holds of a LocalAdapter.
type roomHolds struct {
	mu       sync.RWMutex // guards what follows
	bySocket map[*Socket][]*RoomHold
}

// HoldRoom begins to hold back what is sent to a room. Release or Cancel ends it.
func (s *Socket) HoldRoom(room string) *RoomHold {
	l := s.ns.localAdapter
	h := &RoomHold{local: l, socket: s, room: room}
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	if l.holds.bySocket == nil {
		l.holds.bySocket = map[*Socket][]*RoomHold{}
	}
	l.holds.bySocket[s] = append(l.holds.bySocket[s], h)
	l.holdCount.Add(1)
	return h
}

// Release calls first, which sends the snapshot up to the event last, and sends what came
// since. It returns ErrHoldOverflow, without calling first, when events had to be dropped.
func (h *RoomHold) Release(last RecordID, first func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overflow {
		h.remove()
		return ErrHoldOverflow
	}
	first()
	for _, e := range h.held {
		if id, ok := e.recorded.idIn(h.room); !ok || id.Compare(last) > 0 {
			_ = h.socket.sendFrames(e.frames, false, true, nil) // a socket that has just gone gets nothing
		}
	}
	h.held, h.released, h.last = nil, true, last
	time.AfterFunc(holdFence, h.remove)
	return nil
}

// Cancel ends a hold that was not released; what came for the room is dropped, so the
// socket must not stay in it unless it was there before.
func (h *RoomHold) Cancel() {
	h.mu.Lock()
	released := h.released
	h.mu.Unlock()
	if !released {
		h.remove()
	}
}

// remove forgets the hold. Idempotent.
func (h *RoomHold) remove() {
	l := h.local
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	list := l.holds.bySocket[h.socket]
	i := slices.Index(list, h)
	if i < 0 {
		return
	}
	l.holdCount.Add(-1)
	if list = slices.Delete(slices.Clone(list), i, i+1); len(list) == 0 {
		delete(l.holds.bySocket, h.socket)
	} else {
		l.holds.bySocket[h.socket] = list
	}
}

// dropHolds forgets the holds of a socket that ends.
func (l *LocalAdapter) dropHolds(s *Socket) {
	if l.holdCount.Load() == 0 {
		return
	}
	l.holds.mu.Lock()
	defer l.holds.mu.Unlock()
	l.holdCount.Add(-int64(len(l.holds.bySocket[s])))
	delete(l.holds.bySocket, s)
}

// takes reports whether the hold keeps or drops an event for its socket.
func (h *RoomHold) takes(frames []*engineio.Frame, r *Recorded) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		id, ok := r.idIn(h.room)
		return ok && id.Compare(h.last) <= 0
	}
	for _, f := range frames {
		h.bytes += len(f.Message().Data)
	}
	if len(h.held) >= holdEvents || h.bytes > holdBytes {
		h.overflow, h.held = true, nil
		return true
	}
	h.held = append(h.held, heldEvent{frames, r})
	return true
}

// holdsFor returns what holds events of some rooms for a socket.
func (l *LocalAdapter) holdsFor(s *Socket, rooms []string) (found []*RoomHold) {
	l.holds.mu.RLock()
	defer l.holds.mu.RUnlock()
	for _, h := range l.holds.bySocket[s] {
		if slices.Contains(rooms, h.room) {
			found = append(found, h)
		}
	}
	return found
}

// isHeld reports whether a hold of a socket takes an event.
func (l *LocalAdapter) isHeld(s *Socket, frames []*engineio.Frame, o *BroadcastOptions) bool {
	return slices.ContainsFunc(l.holdsFor(s, o.Rooms), func(h *RoomHold) bool { return h.takes(frames, o.Recorded) })
}

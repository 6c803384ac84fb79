package socketio

import (
	"cmp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// RecordID is the place of an event in the history of a room: that of a Redis stream,
// or of a history in memory. Later events have greater ids.
type RecordID struct{ Millis, Sequence uint64 }

// ParseRecordID reads the form of RecordID.String.
func ParseRecordID(text string) (id RecordID, ok bool) {
	ms, seq, _ := strings.Cut(text, "-")
	var err error
	if id.Millis, err = strconv.ParseUint(ms, 10, 64); err != nil {
		return RecordID{}, false
	}
	if id.Sequence, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return RecordID{}, false
	}
	return id, true
}

// String gives the form <milliseconds>-<sequence>.
func (id RecordID) String() string {
	return strconv.FormatUint(id.Millis, 10) + "-" + strconv.FormatUint(id.Sequence, 10)
}

// Compare is negative when id comes before other, and positive when it comes after.
func (id RecordID) Compare(other RecordID) int {
	return cmp.Or(cmp.Compare(id.Millis, other.Millis), cmp.Compare(id.Sequence, other.Sequence))
}

// Recording is a broadcast that is about to be made with BroadcastOperator.Record.
type Recording struct {
	Namespace *Namespace
	Rooms     []string
	Event     string
	Args      Args
	User      *string // the sender, nil without one
}

// Recorder decides which broadcasts are kept: package history has one.
type Recorder interface {
	// Record returns how a broadcast is kept, nil when it is not. With an error no socket gets
	// the broadcast, and Emit returns the error. It must not block.
	Record(r Recording) (*Recorded, error)
}

// Recorded is how a broadcast is kept in the history of rooms. A Recorder fills it in;
// the adapter that stores the event, or the Recorder itself, settles its ids.
type Recorded struct {
	Rooms  []string      // whose histories keep the event: some of those it is for
	Entry  []byte        // what is kept
	Events int           // how many events a room keeps
	Age    time.Duration // how long they are kept

	mu      sync.Mutex // guards what follows
	ids     []RecordID // for each room; the zero id where it was not kept
	settled bool
}

// Settle tells where the event was kept: one id for each of Rooms, or none when it was
// not.
func (r *Recorded) Settle(ids []RecordID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.settled {
		r.settled, r.ids = true, ids
	}
}

// IDs returns what Settle was told; nil before.
func (r *Recorded) IDs() []RecordID {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids
}

// idIn returns the id in a room, when the event is known to be kept there.
func (r *Recorded) idIn(room string) (RecordID, bool) {
	if r == nil {
		return RecordID{}, false
	}
	ids := r.IDs()
	for i, name := range r.Rooms {
		if name == room && i < len(ids) && ids[i] != (RecordID{}) {
			return ids[i], true
		}
	}
	return RecordID{}, false
}

// KeepRecords lets a Recorder keep what is sent with BroadcastOperator.Record. Call it
// before clients connect; a later call replaces the Recorder.
func (n *Namespace) KeepRecords(r Recorder) {
	n.updateHandlers(func(h *sharedHandlers) { h.recorder = r })
}

// KeepRecords is as Namespace.KeepRecords, for the children made from now on.
func (p *ParentNamespace) KeepRecords(r Recorder) { p.prototype.KeepRecords(r) }

// Recorder returns what KeepRecords was given last; nil without.
func (n *Namespace) Recorder() Recorder { return n.sharedHandlers.Load().recorder }

// Record lets the events stand in the history of the rooms that have one: see package
// history. Volatile events, events for this node only and those for all rooms are not
// kept.
func (b BroadcastOperator) Record() BroadcastOperator { b.record = true; return b }

// RecordFrom is Record with the user that the history names as the sender.
func (b BroadcastOperator) RecordFrom(user string) BroadcastOperator {
	b.record, b.recordUser = true, user
	return b
}

// recorded asks the Recorder of the namespace about a broadcast.
func (b BroadcastOperator) recorded(event string, args Args) (*Recorded, error) {
	if !b.record || b.flags.Volatile || b.flags.Local || len(b.roomNames) == 0 {
		return nil, nil
	}
	recorder := b.ns.Recorder()
	if recorder == nil {
		return nil, nil
	}
	r := Recording{Namespace: b.ns, Rooms: b.roomNames, Event: event, Args: args}
	if b.recordUser != "" {
		r.User = &b.recordUser
	}
	return recorder.Record(r)
}

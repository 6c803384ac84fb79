package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"time"

	"posthouse/internal/loglimit"
	"posthouse/socketio"
	"posthouse/socketio/internal/declare"
)

const (
	defaultEvents  = 100
	defaultAge     = 24 * time.Hour
	defaultTimeout = 5 * time.Second
	// maxBinary is the most binary data of an event that is kept (docs/realtime.md §7).
	maxBinary = 64 << 10
	// MaxEvents is the most events that one answer has, and that a room keeps.
	MaxEvents = 1000
	// maxAnswer is about how long an answer may get; an answer that is longer ends early.
	maxAnswer = 4 << 20
)

// Options say what is kept.
type Options struct {
	// Rooms tells which rooms have a history; access.Matching makes such a function of
	// patterns. Required.
	Rooms func(room string) bool
	// Events is how many events a room keeps, 1 to 1000. Default 100.
	Events int
	// Age is how long they are kept. Default 24 hours.
	Age time.Duration
	// Timeout bounds the wait for the store. Default 5 s.
	Timeout time.Duration
	// Logger is told when the store cannot be reached. Default slog.Default().
	Logger *slog.Logger
}

// History keeps the events of rooms. One History may serve several namespaces; each has
// its own rooms. Safe for concurrent use.
type History struct {
	o      Options
	memory *memory
	lines  loglimit.Limiter
}

// Namespace is what a History applies to: a *socketio.Namespace or a
// *socketio.ParentNamespace.
type Namespace interface {
	KeepRecords(r socketio.Recorder)
	OnEvent(event string, fn func(*socketio.Event))
}

// New returns a History. Its error names the option.
func New(opts *Options) (*History, error) {
	if opts == nil || opts.Rooms == nil {
		return nil, errors.New("history: Options.Rooms is missing: name the rooms that have a history")
	}
	h := &History{o: *opts, memory: newMemory()}
	if h.o.Events == 0 {
		h.o.Events = defaultEvents
	}
	if h.o.Events < 1 || h.o.Events > MaxEvents {
		return nil, fmt.Errorf("history: Options.Events is %d: use 1 to %d", h.o.Events, MaxEvents)
	}
	if h.o.Age == 0 {
		h.o.Age = defaultAge
	}
	if h.o.Age < time.Second {
		return nil, fmt.Errorf("history: Options.Age is %v: use a second or more", h.o.Age)
	}
	if h.o.Timeout <= 0 {
		h.o.Timeout = defaultTimeout
	}
	if h.o.Logger == nil {
		h.o.Logger = slog.Default()
	}
	return h, nil
}

// Apply makes the namespace keep what is sent with BroadcastOperator.Record, and lets its
// clients ask for it with the event "history". Call it before clients connect.
func (h *History) Apply(n Namespace) {
	n.KeepRecords(h)
	n.OnEvent("history", h.handle)
	declare.Accepts[Page](n, "history", reflect.TypeFor[pageRequest]())
}

// Keeps reports whether a room has a history.
func (h *History) Keeps(room string) bool { return h.o.Rooms(room) }

// maxEventRooms bounds the histories that keep one event: with Redis one script writes to all.
const maxEventRooms = 100

// ErrTooManyRooms is what Emit returns for an event that the histories of more than 100 rooms
// would keep. No socket gets it: send it in parts, or without Record.
var ErrTooManyRooms = errors.New("history: an event is kept in the histories of at most 100 rooms")

// Record implements socketio.Recorder.
func (h *History) Record(r socketio.Recording) (*socketio.Recorded, error) {
	rec := &socketio.Recorded{Events: h.o.Events, Age: h.o.Age}
	for i, room := range r.Rooms {
		if h.o.Rooms(room) && !slices.Contains(r.Rooms[:i], room) {
			rec.Rooms = append(rec.Rooms, room)
		}
	}
	if len(rec.Rooms) == 0 {
		return nil, nil
	}
	if len(rec.Rooms) > maxEventRooms {
		return nil, ErrTooManyRooms
	}
	binary := 0
	for _, v := range r.Args.All() {
		for _, b := range v.Attachments {
			binary += len(b)
		}
	}
	if binary > maxBinary {
		return nil, nil
	}
	var err error
	if rec.Entry, err = encodeEntry(&r); err != nil {
		h.failure("an event cannot be kept", err)
		return nil, nil
	}
	if _, ok := r.Namespace.Adapter().(Backend); !ok {
		h.memory.add(r.Namespace.Name(), rec)
	}
	return rec, nil
}

// storeOf is where the events of a namespace are.
func (h *History) storeOf(n *socketio.Namespace) Store {
	if b, ok := n.Adapter().(Backend); ok {
		return b.HistoryStore()
	}
	return memoryOf{h.memory, n.Name()}
}

func (h *History) failure(what string, err error) {
	if held, ok := h.lines.Allow(); ok {
		h.o.Logger.Warn("history: "+what, "error", err, "not_logged", held)
	}
}

// ErrRequest means that a limit or an id makes no sense.
var ErrRequest = errors.New("history: limit must be 1 to 1000, and before the id of an event")

// Read returns the newest events of a room, limit at most; with before only those older
// than the event of that id.
func (h *History) Read(ctx context.Context, n *socketio.Namespace, room string, limit int, before string) (*Page, error) {
	until := newest
	if before != "" {
		id, ok := socketio.ParseRecordID(before)
		if !ok {
			return nil, ErrRequest
		}
		if until = preceding(id); id == (socketio.RecordID{}) {
			return &Page{Events: []Event{}}, nil
		}
	}
	if limit < 1 || limit > MaxEvents {
		return nil, ErrRequest
	}
	ctx, cancel := context.WithTimeout(ctx, h.o.Timeout)
	defer cancel()
	return h.page(ctx, h.storeOf(n), room, limit, until)
}

// newest is after every event.
var newest = socketio.RecordID{Millis: math.MaxInt64, Sequence: math.MaxInt64}

// preceding is the greatest id before another one.
func preceding(id socketio.RecordID) socketio.RecordID {
	if id.Sequence > 0 {
		return socketio.RecordID{Millis: id.Millis, Sequence: id.Sequence - 1}
	}
	return socketio.RecordID{Millis: id.Millis - 1, Sequence: math.MaxInt64}
}

// page reads the events of a room that are not after until.
func (h *History) page(ctx context.Context, store Store, room string, limit int, until socketio.RecordID) (*Page, error) {
	slice, err := store.Read(ctx, Query{Room: room, Until: until, Limit: limit, Age: h.o.Age})
	if err != nil {
		return nil, err
	}
	p := &Page{Events: make([]Event, 0, len(slice.Items)), More: slice.More, Gap: slice.Hole}
	size, from := 0, len(slice.Items)
	for from > 0 && (from == len(slice.Items) || size+len(slice.Items[from-1].Entry) <= maxAnswer) {
		from--
		size += len(slice.Items[from].Entry)
	}
	p.More = p.More || from > 0
	for _, item := range slice.Items[from:] {
		e, err := decodeEntry(item)
		if err != nil {
			h.failure("an entry is left out", err)
			p.Gap = true
			continue
		}
		p.Events = append(p.Events, e)
	}
	if len(p.Events) < limit && slice.Lost && !p.More {
		p.Gap = true
	}
	return p, nil
}

// Package board is a wall of notes: the types of its events, and its handlers. The
// server and the program of go generate import it.
package board

import (
	"context"
	"strconv"
	"sync"

	"posthouse/socketio"
	"posthouse/socketio/contract"
)

// NewNote is what a client pins to the board.
type NewNote struct {
	Text   string `json:"text" minLength:"1" maxLength:"80" doc:"Plain text."`
	Colour string `json:"colour,omitempty" enum:"yellow,green,blue"`
}

// Note is a note on the board.
type Note struct {
	ID string `json:"id"`
	NewNote
}

// Moved says where a note went: the order is that of the board.
type Moved struct {
	ID string `json:"id" minLength:"1"`
	To int    `json:"to" minimum:"0"`
}

const maxNotes = 100

// board is the notes in their order.
type board struct {
	mu     sync.Mutex // guards what follows
	notes  []Note
	lastID int
}

// Register puts the board on namespace "/board" of a server. The contract is all that
// is declared here.
func Register(io *socketio.Server) contract.Namespace {
	ns, b := io.Of("/board"), new(board)
	contract.Emits[Note](ns, "added")
	contract.Emits[Moved](ns, "moved")
	contract.Emits[string](ns, "removed")
	socketio.Handle(ns, "list", func(context.Context, contract.None) ([]Note, error) { return b.list(), nil })
	socketio.Handle(ns, "add", func(_ context.Context, in NewNote) (Note, error) {
		note, err := b.add(in)
		if err != nil {
			return note, err
		}
		return note, ns.Emit("added", note)
	})
	socketio.Handle(ns, "move", func(_ context.Context, in Moved) (contract.None, error) {
		if !b.move(in) {
			return contract.None{}, errNoNote
		}
		return contract.None{}, ns.Emit("moved", in)
	})
	socketio.Handle(ns, "remove", func(_ context.Context, id string) (bool, error) {
		return b.remove(id), ns.Emit("removed", id)
	})
	return ns
}

var (
	errFull   = &socketio.EventError{Code: "full", Message: "the board holds " + strconv.Itoa(maxNotes) + " notes"}
	errNoNote = &socketio.EventError{Code: "not_found", Message: "no such note"}
)

func (b *board) list() []Note {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Note{}, b.notes...)
}

func (b *board) add(in NewNote) (Note, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.notes) >= maxNotes {
		return Note{}, errFull
	}
	b.lastID++
	note := Note{ID: strconv.Itoa(b.lastID), NewNote: in}
	b.notes = append(b.notes, note)
	return note, nil
}

// take removes a note and returns it; the lock is held.
func (b *board) take(id string) (note Note, ok bool) {
	for i, n := range b.notes {
		if n.ID == id {
			b.notes = append(b.notes[:i], b.notes[i+1:]...)
			return n, true
		}
	}
	return Note{}, false
}

func (b *board) move(in Moved) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	note, ok := b.take(in.ID)
	if ok {
		to := min(in.To, len(b.notes))
		b.notes = append(b.notes[:to], append([]Note{note}, b.notes[to:]...)...)
	}
	return ok
}

func (b *board) remove(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.take(id)
	return ok
}

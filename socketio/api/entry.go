package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// emits is the work on the body of POST /api/emit or /api/batch. Back ends emit by the
// thousand, and building values of each entry twice, as the library of the other routes
// does, costs more than everything else: what is plain is taken out of the text.
type emits struct {
	handler *Handler
	ctx     context.Context
	facts   jsontext.Facts
	plain   bool         // no text of the body stands for something else
	entries []plainEntry // of the body, at most maxBatch
	count   int          // of the entries that the body has
	reading plainEntry   // whose members are being told

	// Of the entry before, because entries resemble each other.
	namespace *socketio.Namespace // nil for none
	toText    []byte
	room      socketio.BroadcastOperator // selects what toText says
	event     string
	unhold    func() // lets the namespace publish what was emitted; nil for nothing held

	args     socketio.Args // of the entry under way
	argsList [1]any        // &args
}

// publishHolder is implemented by adapters that can publish several events together.
type publishHolder interface{ HoldPublishing() (release func()) }

// take makes n the namespace of what is emitted next.
func (e *emits) take(n *socketio.Namespace) {
	e.release()
	e.namespace, e.toText = n, nil
	if a, ok := n.Adapter().(publishHolder); ok {
		e.unhold = a.HoldPublishing()
	}
}

// release lets everything that was emitted be published.
func (e *emits) release() {
	if e.unhold != nil {
		e.unhold()
	}
	e.namespace, e.unhold = nil, nil
}

// usedEmits are those that have ended, whose entries have room for the next body's.
var usedEmits = sync.Pool{New: func() any { return new(emits) }}

// newEmits judges a body as a whole; its entries are wrapped in as many lists. They are to
// be ended.
func (h *Handler) newEmits(ctx context.Context, body []byte, lists int) (*emits, error) {
	e := usedEmits.Get().(*emits)
	e.handler, e.ctx, e.reading = h, ctx, noEntry
	e.argsList[0] = &e.args
	var err error
	e.facts, err = jsontext.ExamineEntries(body, jsonbinary.MaxDepth+2+lists, lists, e)
	if err == nil && !utf8.Valid(body) {
		err = errors.New("invalid UTF-8")
	}
	if err != nil {
		e.end()
		return nil, huma.Error400BadRequest("the body is no JSON", &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	e.plain = !e.facts.Wide && jsonbinary.Plain(body) && !bytes.Contains(body, []byte(`_placeholder`))
	return e, nil
}

// end releases what was emitted, and gives e back.
func (e *emits) end() {
	e.release()
	clear(e.entries)
	*e = emits{entries: e.entries[:0]}
	usedEmits.Put(e)
}

// emit does one entry.
func (e *emits) emit(p *plainEntry) (EmitResult, error) {
	text := p.text
	if !e.plain || !p.isPlain() {
		return e.emitUnusual(text)
	}
	if e.namespace == nil || e.namespace.Name() != string(p.namespace) {
		n, err := e.handler.namespace(e.ctx, string(p.namespace), "body.namespace")
		if err != nil {
			return EmitResult{}, err
		}
		e.take(n)
	}
	if e.toText == nil || !bytes.Equal(e.toText, p.to) {
		rooms, ok := texts(p.to)
		if !ok {
			return e.emitUnusual(text)
		}
		e.room, e.toText = e.namespace.To(rooms...).WithContext(e.ctx), p.to
	}
	op := e.room
	if p.except != nil {
		rooms, ok := texts(p.except)
		if !ok {
			return e.emitUnusual(text)
		}
		op = op.Except(rooms...)
	}
	if p.volatile {
		op = op.Volatile()
	}
	if e.namespace.Recorder() != nil { // the rooms may have histories
		op = op.Record()
	}
	if e.event != string(p.event) {
		e.event = string(p.event)
	}
	e.args = socketio.ArgsOf(p.args(e.facts.Spaced), nil)
	if err := op.Emit(e.event, e.argsList[:]...); err != nil {
		return EmitResult{}, e.handler.emitError(err)
	}
	return EmitResult{}, nil
}

// emitUnusual does an entry that asks for more than plainEntry knows, or is wrong.
func (e *emits) emitUnusual(text []byte) (EmitResult, error) {
	e.release() // it may wait for acknowledgements
	h := e.handler
	var tree any
	var r EmitRequest
	if err := json.Unmarshal(text, &tree); err != nil { // it was JSON
		return EmitResult{}, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body", Message: "a number is out of range"})
	}
	check := &huma.ValidateResult{}
	path := huma.NewPathBuffer(nil, 0)
	path.Push("body")
	huma.Validate(h.registry, h.entrySchema, path, huma.ModeWriteToServer, tree, check)
	if len(check.Errors) > 0 {
		return EmitResult{}, huma.Error422UnprocessableEntity("validation failed", check.Errors...)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return EmitResult{}, huma.Error422UnprocessableEntity("validation failed", err)
	}
	return h.emit(e.ctx, &r)
}

// plainEntry is an entry without acknowledgements and without escapes in its names. It
// shares the memory of the body.
type plainEntry struct {
	text             []byte // all of it
	namespace, event []byte
	to, except       []byte // lists, nil without
	argsText         []byte // a list, nil without
	volatile         bool
	unusual          bool // it has members that only emitUnusual knows
}

// Member implements jsontext.Entries.
func (e *emits) Member(key, value []byte) {
	p := &e.reading
	ok := false
	switch string(key) {
	case "namespace":
		p.namespace, ok = plainText(value)
	case "event":
		p.event, ok = plainText(value)
	case "to":
		p.to, ok = value, value[0] == '['
	case "except":
		p.except, ok = value, value[0] == '['
	case "args":
		p.argsText, ok = value, value[0] == '['
	case "volatile":
		p.volatile = value[0] == 't'
		ok = p.volatile || value[0] == 'f'
	}
	p.unusual = p.unusual || !ok
}

// Entry implements jsontext.Entries.
func (e *emits) Entry(text []byte) {
	if e.count++; e.count <= maxBatch {
		e.reading.text = text
		e.entries = append(e.entries, e.reading)
	}
	e.reading = noEntry
}

// noEntry is one of which nothing was told yet.
var noEntry = plainEntry{to: emptyList}

// isPlain reports whether emitUnusual is not needed.
func (p *plainEntry) isPlain() bool {
	return p.text[0] == '{' && !p.unusual && len(p.namespace) > 0 && len(p.event) > 0
}

var emptyList = []byte("[]")

// args returns the arguments, compact and separated by commas; they are spliced into the
// packet as they are.
func (p *plainEntry) args(spaced bool) []byte {
	if len(p.argsText) <= 2 {
		return nil
	}
	list := p.argsText[1 : len(p.argsText)-1]
	if spaced {
		list = jsontext.AppendCompact(make([]byte, 0, len(list)), list)
	}
	return list
}

// plainText returns the text of a string without escapes.
func plainText(value []byte) (text []byte, ok bool) {
	if value[0] != '"' || !jsontext.Plain(value) {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// texts returns the texts of a list of strings without escapes.
func texts(list []byte) (all []string, ok bool) {
	ok = true
	jsontext.EachElement(list, func(element []byte) {
		text, plain := plainText(element)
		ok = ok && plain
		all = append(all, string(text))
	})
	return all, ok
}

// serveEvents reads the body of a request, and answers with what work makes of it.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request, work func(context.Context, []byte) ([]byte, error)) {
	if kind := r.Header.Get("Content-Type"); kind != "" && kind != "application/json" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			problem(w, http.StatusUnsupportedMediaType, "the body is application/json")
			return
		}
	}
	buffer := bodies.Get().(*[]byte)
	body, err := readBody(w, r, *buffer)
	// An emit copies its event: nothing of the body is used after the answer.
	defer func() {
		if *buffer = body[:0]; cap(body) <= keptBody {
			bodies.Put(buffer)
		}
	}()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit))
		return
	case err != nil:
		problem(w, http.StatusBadRequest, "the body cannot be read")
		return
	}
	answer, err := work(r.Context(), body)
	if err == nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // the client may have gone
		return
	}
	told := toldError(err)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(told.GetStatus())
	_, _ = w.Write(append(appendResult(nil, told), '\n')) // likewise
}

// bodies are buffers of keptBody at most, as pointers to slices.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

const keptBody = 64 << 10

// readBody reads a body of maxBody at most, into the memory of buffer when its length was
// told.
func readBody(w http.ResponseWriter, r *http.Request, buffer []byte) ([]byte, error) {
	in := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(in)
	}
	body := slices.Grow(buffer[:0], int(r.ContentLength))[:r.ContentLength]
	_, err := io.ReadFull(in, body)
	return body, err
}

// toldError is what a client may know of an error.
func toldError(err error) huma.StatusError {
	var told huma.StatusError
	if errors.As(err, &told) {
		return told
	}
	return huma.Error500InternalServerError("the event was not sent")
}

// resultOf is what stands for an entry in the answer to a batch: nil for an empty result.
func resultOf(result EmitResult, err error) any {
	switch {
	case err != nil:
		return toldError(err)
	case result == EmitResult{}:
		return nil
	}
	return result
}

// appendResult appends a result, or the problem that stands in its place.
func appendResult(dst []byte, result any) []byte {
	if result == nil {
		return append(dst, "{}"...)
	}
	text, err := json.Marshal(result)
	if err != nil {
		text = []byte(`{"status":500}`) // no type of a result does that
	}
	return append(dst, text...)
}

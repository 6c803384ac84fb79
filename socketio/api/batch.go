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
	"reflect"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/internal/jsontext"
	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// maxBatch is how many entries a batch may have (docs/realtime.md §5).
const maxBatch = 1000

// registerBatch describes POST /api/batch as the other routes are described, and serves it
// without the library that serves those: back ends emit by the thousand, and building
// values of each entry twice costs more than everything else.
func (h *Handler) registerBatch(api huma.API) {
	op := operation(http.MethodPost, "/api/batch", "batch", "Emit several events; each entry has its own result", 404)
	entry := h.registry.Schema(reflect.TypeFor[EmitRequest](), true, "EmitRequest")
	result := h.registry.Schema(reflect.TypeFor[EmitResult](), true, "EmitResult")
	problemOf := h.registry.Schema(reflect.TypeFor[huma.ErrorModel](), true, "ErrorModel")
	most := maxBatch
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: entry, MaxItems: &most}},
	}}
	op.Responses = map[string]*huma.Response{
		"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: []*huma.Schema{result, problemOf}}}},
		}},
		"default": {Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problemOf}}},
	}
	h.entrySchema = huma.SchemaFromType(h.registry, reflect.TypeFor[EmitRequest]())
	api.OpenAPI().AddOperation(&op)
	h.mux.HandleFunc("POST /api/batch", h.serveBatch)
}

func (h *Handler) serveBatch(w http.ResponseWriter, r *http.Request) {
	if kind := r.Header.Get("Content-Type"); kind != "" {
		if media, _, err := mime.ParseMediaType(kind); err != nil || media != "application/json" {
			problem(w, http.StatusUnsupportedMediaType, "the body is application/json")
			return
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", tooLarge.Limit))
		return
	case err != nil:
		problem(w, http.StatusBadRequest, "the body cannot be read")
		return
	}
	answer, err := h.batch(r.Context(), body)
	var told huma.StatusError
	switch {
	case errors.As(err, &told):
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(told.GetStatus())
		_ = json.NewEncoder(w).Encode(told) // the client may have gone
	case err != nil:
		problem(w, http.StatusInternalServerError, "the batch failed")
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer) // likewise
	}
}

// batch does the entries in order and returns the list of their results.
func (h *Handler) batch(ctx context.Context, body []byte) (answer []byte, err error) {
	spaced, err := jsontext.Check(body, 1000)
	if err != nil {
		return nil, huma.Error400BadRequest("the body is no JSON", &huma.ErrorDetail{Location: "body", Message: err.Error()})
	}
	if i := jsontext.SkipSpace(body, 0); body[i] != '[' {
		return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body", Message: "expected a list"})
	}
	count := 0
	jsontext.EachElement(body, func([]byte) { count++ })
	if count > maxBatch {
		return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{
			Location: "body", Message: fmt.Sprintf("expected %d entries at most", maxBatch), Value: count,
		})
	}
	b := &batchRun{handler: h, legible: utf8.Valid(body), spaced: spaced}
	answer = append(make([]byte, 0, 2+3*count), '[')
	jsontext.EachElement(body, func(text []byte) {
		if len(answer) > 1 {
			answer = append(answer, ',')
		}
		result := b.emitEntry(ctx, text)
		if result == nil {
			answer = append(answer, "{}"...)
			return
		}
		encoded, err := json.Marshal(result)
		if err != nil {
			encoded = []byte(`{"status":500}`) // no type of a result does that
		}
		answer = append(answer, encoded...)
	})
	return append(answer, "]\n"...), nil
}

// batchRun is the work on one batch.
type batchRun struct {
	handler   *Handler
	legible   bool                // the body is UTF-8
	spaced    bool                // the body has white space between its tokens
	namespace *socketio.Namespace // of the entry before; nil for none
}

// emitEntry does one entry; its result, nil for an empty one, is what it stands for in the
// answer.
func (b *batchRun) emitEntry(ctx context.Context, text []byte) any {
	h := b.handler
	var e plainEntry
	if !b.legible || !e.read(text) {
		return h.emitUnusual(ctx, text)
	}
	if b.namespace == nil || b.namespace.Name() != string(e.namespace) {
		n, err := h.namespace(ctx, string(e.namespace), "body.namespace")
		if err != nil {
			return resultOf(EmitResult{}, err)
		}
		b.namespace = n
	}
	if b.namespace.Recorder() != nil { // the rooms may have histories
		return h.emitUnusual(ctx, text)
	}
	op := b.namespace.To(e.to...).Except(e.except...).WithContext(ctx)
	if e.volatile {
		op = op.Volatile()
	}
	if err := op.Emit(string(e.event), e.args(b.spaced)...); err != nil {
		return resultOf(EmitResult{}, h.emitError(err))
	}
	return nil
}

// emitUnusual does an entry that asks for more than plainEntry knows, or is wrong.
func (h *Handler) emitUnusual(ctx context.Context, text []byte) any {
	var tree any
	var r EmitRequest
	if err := json.Unmarshal(text, &tree); err != nil {
		return huma.Error400BadRequest("the entry is no JSON")
	}
	check := &huma.ValidateResult{}
	huma.Validate(h.registry, h.entrySchema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, tree, check)
	if len(check.Errors) > 0 {
		return huma.Error422UnprocessableEntity("validation failed", check.Errors...)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return huma.Error422UnprocessableEntity("validation failed", err)
	}
	return resultOf(h.emit(ctx, &r))
}

// resultOf is what an entry's result looks like in the answer.
func resultOf(result EmitResult, err error) any {
	var told huma.StatusError
	switch {
	case errors.As(err, &told):
		return told
	case err != nil:
		return huma.Error500InternalServerError("the entry failed")
	case result == EmitResult{}:
		return nil
	}
	return result
}

// plainEntry is an entry without acknowledgements, binary values and escapes in its names.
// Its texts share the memory of the body.
type plainEntry struct {
	namespace, event []byte
	to, except       []string
	argsText         []byte // without the brackets
	volatile         bool
}

// read takes an entry that is valid JSON. false leaves it to emitUnusual.
func (e *plainEntry) read(text []byte) bool {
	if text[0] != '{' || !jsonbinary.Plain(text) || bytes.Contains(text, []byte(`_placeholder`)) {
		return false
	}
	plain := true
	jsontext.EachMember(text, func(key, value []byte) {
		switch string(key) {
		case "namespace":
			e.namespace, plain = plainText(value, plain)
		case "event":
			e.event, plain = plainText(value, plain)
		case "to":
			e.to, plain = texts(value, plain)
		case "except":
			e.except, plain = texts(value, plain)
		case "args":
			e.argsText = value
			plain = plain && value[0] == '['
		case "volatile":
			e.volatile = value[0] == 't'
			plain = plain && (value[0] == 't' || value[0] == 'f')
		default:
			plain = false
		}
	})
	return plain && len(e.namespace) > 0 && len(e.event) > 0
}

// args returns the arguments; they are spliced into the packet as they are.
func (e *plainEntry) args(spaced bool) []any {
	if len(e.argsText) < 2 {
		return nil
	}
	list := e.argsText[1 : len(e.argsText)-1]
	if spaced {
		list = jsontext.AppendCompact(nil, list)
	}
	if len(list) == 0 {
		return nil
	}
	return []any{socketio.ArgsOf(list, nil)}
}

// plainText returns the text of a string without escapes.
func plainText(value []byte, plain bool) ([]byte, bool) {
	if !plain || value[0] != '"' || !jsontext.Plain(value) {
		return nil, false
	}
	return value[1 : len(value)-1], true
}

// texts returns the texts of a list of strings.
func texts(value []byte, plain bool) (list []string, allPlain bool) {
	if value[0] != '[' {
		return nil, false
	}
	jsontext.EachElement(value, func(element []byte) {
		var text []byte
		if text, plain = plainText(element, plain); plain {
			list = append(list, string(text))
		}
	})
	return list, plain
}

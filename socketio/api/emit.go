package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/socketio"
	"posthouse/socketio/history"
	"posthouse/socketio/internal/jsonbinary"
)

// EmitRequest is the body of POST /api/emit, and an entry of POST /api/batch.
type EmitRequest struct {
	Namespace string            `json:"namespace" minLength:"1" doc:"The namespace, such as /app."`
	To        []string          `json:"to,omitempty" doc:"Rooms or ids of sockets; everybody when empty."`
	Except    []string          `json:"except,omitempty" doc:"Rooms or ids of sockets that are left out."`
	Event     string            `json:"event" minLength:"1" doc:"The name of the event."`
	Args      []json.RawMessage `json:"args,omitempty" doc:"The arguments; {\"$binary\": base64} is a binary value."`
	Volatile  bool              `json:"volatile,omitempty" doc:"Leave out clients that are not ready for it."`
	Compress  *bool             `json:"compress,omitempty" doc:"Whether the transports compress it."`
	Local     bool              `json:"local,omitempty" doc:"Reach the sockets of this node only."`
	History   *bool             `json:"history,omitempty" doc:"Whether the histories of the rooms keep it. Default: those of the rooms that have one, unless it is volatile, local or acknowledged."`
	Ack       *AckRequest       `json:"ack,omitempty" doc:"Wait for acknowledgements."`
}

// AckRequest asks for the acknowledgements of an emit.
type AckRequest struct {
	Timeout float64 `json:"timeout" exclusiveMinimum:"0" maximum:"60" doc:"Seconds."`
}

// EmitResult is the answer to an emit. Without an acknowledgement asked for it is empty.
type EmitResult struct {
	Acks     *[]any `json:"acks,omitempty" doc:"The first argument of each acknowledgement."`
	Expected *int   `json:"expected,omitempty" doc:"How many clients were asked."`
	Received *int   `json:"received,omitempty" doc:"How many have answered."`
}

// registerEmit describes POST /api/emit.
func (h *Handler) registerEmit(api huma.API) {
	op := operation(http.MethodPost, "/api/emit", "emit", "Emit an event to clients", 404, 503)
	h.entrySchema = huma.SchemaFromType(h.registry, reflect.TypeFor[EmitRequest]())
	describe(&op, h.registry.Schema(reflect.TypeFor[EmitRequest](), true, "EmitRequest"),
		h.registry.Schema(reflect.TypeFor[EmitResult](), true, "EmitResult"), h.registry.Schema(reflect.TypeFor[huma.ErrorModel](), true, "ErrorModel"))
	api.OpenAPI().AddOperation(&op)
	h.mux.HandleFunc("POST /api/emit", func(w http.ResponseWriter, r *http.Request) {
		h.serveEvents(w, r, func(ctx context.Context, body []byte) ([]byte, error) {
			e, err := h.newEmits(ctx, body, 0)
			if err != nil {
				return nil, err
			}
			defer e.end()
			result, err := e.emit(&e.entries[0])
			if err != nil {
				return nil, err
			}
			return append(appendResult(nil, resultOf(result, nil)), '\n'), nil
		})
	})
}

// describe fills in what is read and answered by a route that the library does not serve.
func describe(op *huma.Operation, request, answer, problemOf *huma.Schema) {
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: request}}}
	op.Responses = map[string]*huma.Response{
		"200":     {Description: "OK", Content: map[string]*huma.MediaType{"application/json": {Schema: answer}}},
		"default": {Description: "Error", Content: map[string]*huma.MediaType{"application/problem+json": {Schema: problemOf}}},
	}
}

func (h *Handler) emit(ctx context.Context, r *EmitRequest) (EmitResult, error) {
	n, err := h.namespace(ctx, r.Namespace, "body.namespace")
	if err != nil {
		return EmitResult{}, err
	}
	args, err := jsonbinary.DecodeCheckedList(r.Args)
	if err != nil {
		return EmitResult{}, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.args", Message: err.Error()})
	}
	op := n.To(r.To...).Except(r.Except...).WithContext(ctx)
	if r.Volatile {
		op = op.Volatile()
	}
	if r.Compress != nil {
		op = op.Compress(*r.Compress)
	}
	if r.Local {
		op = op.Local()
	}
	if op, err = recorded(n, r, op); err != nil {
		return EmitResult{}, err
	}
	if r.Ack == nil {
		if err := op.Emit(r.Event, args...); err != nil {
			return EmitResult{}, h.emitError(err)
		}
		return EmitResult{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.Ack.Timeout*float64(time.Second)))
	defer cancel()
	acks, err := op.EmitWithAck(ctx, r.Event, args...)
	expected := len(acks)
	var partial *socketio.PartialError
	switch {
	case errors.As(err, &partial):
		expected = max(expected, partial.Expected)
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return EmitResult{}, h.emitError(err)
	}
	received := len(acks)
	answers := make([]any, 0, received)
	for _, ack := range acks {
		first, err := firstOf(ack)
		if err != nil {
			return EmitResult{}, err
		}
		answers = append(answers, first)
	}
	return EmitResult{Acks: &answers, Expected: &expected, Received: &received}, nil
}

// recorded lets the histories of the rooms keep an event.
func recorded(n *socketio.Namespace, r *EmitRequest, op socketio.BroadcastOperator) (socketio.BroadcastOperator, error) {
	kept, _ := n.Recorder().(*history.History)
	switch {
	case r.History == nil:
		return op.Record(), nil
	case !*r.History:
		return op, nil
	case r.Volatile || r.Local || r.Ack != nil || kept == nil || !slices.ContainsFunc(r.To, kept.Keeps):
		return op, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.history", Value: true,
			Message: "only an event to rooms that have a history is kept, and none that is volatile, local or acknowledged"})
	}
	return op.Record(), nil
}

// emitError tells what the caller can mend from what it cannot.
func (h *Handler) emitError(err error) error {
	if errors.Is(err, socketio.ErrReserved) {
		return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.event", Message: "the name is reserved"})
	}
	if errors.Is(err, history.ErrTooManyRooms) {
		return huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body.to",
			Message: "an event is kept in the histories of at most 100 rooms: send it in parts, or with history: false"})
	}
	return h.unavailable(err)
}

// firstOf is the first argument of an acknowledgement, nil without one.
func firstOf(ack socketio.Args) (any, error) {
	for _, v := range ack.All() {
		if len(v.Attachments) == 0 && jsonbinary.Plain(v.JSON) {
			return v.JSON, nil
		}
		var tree any
		if err := ack.Bind(&tree); err != nil {
			return nil, fmt.Errorf("api: acknowledgement: %w", err)
		}
		return jsonbinary.Encode(tree), nil
	}
	return nil, nil
}

package api

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"posthouse/internal/jsontext"
)

// maxBatch is how many entries a batch may have (docs/realtime.md §5).
const maxBatch = 1000

// registerBatch describes POST /api/batch.
func (h *Handler) registerBatch(api huma.API) {
	op := operation(http.MethodPost, "/api/batch", "batch", "Emit several events; each entry has its own result", 404)
	entry := h.registry.Schema(reflect.TypeFor[EmitRequest](), true, "EmitRequest")
	result := h.registry.Schema(reflect.TypeFor[EmitResult](), true, "EmitResult")
	problemOf := h.registry.Schema(reflect.TypeFor[huma.ErrorModel](), true, "ErrorModel")
	most := maxBatch
	describe(&op, &huma.Schema{Type: huma.TypeArray, Items: entry, MaxItems: &most},
		&huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{OneOf: []*huma.Schema{result, problemOf}}}, problemOf)
	api.OpenAPI().AddOperation(&op)
	h.mux.HandleFunc("POST /api/batch", func(w http.ResponseWriter, r *http.Request) { h.serveEvents(w, r, h.batch) })
}

// batch does the entries in order and returns the list of their results.
func (h *Handler) batch(ctx context.Context, body []byte) (answer []byte, err error) {
	e, err := h.newEmits(ctx, body, 1)
	if err != nil {
		return nil, err
	}
	defer e.end()
	if body[jsontext.SkipSpace(body, 0)] != '[' {
		return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{Location: "body", Message: "expected a list"})
	}
	if e.count > maxBatch {
		return nil, huma.Error422UnprocessableEntity("validation failed", &huma.ErrorDetail{
			Location: "body", Message: fmt.Sprintf("expected %d entries at most", maxBatch), Value: e.count,
		})
	}
	answer = append(make([]byte, 0, 2+3*e.count), '[')
	for i := range e.entries {
		if i > 0 {
			answer = append(answer, ',')
		}
		answer = appendResult(answer, resultOf(e.emit(&e.entries[i])))
	}
	return append(answer, "]\n"...), nil
}

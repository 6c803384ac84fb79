package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"

	"posthouse/socketio"
	"posthouse/socketio/parser"
	"posthouse/socketio/presence"
)

// maxBody is the largest body, in bytes.
const maxBody = 1 << 20

// Options configure a Handler. Keys are required.
type Options struct {
	Keys []Key
	// RequestsPerSecond bounds each key; a second's worth may come at once. Default 1000;
	// negative: no bound.
	RequestsPerSecond int
	// Timeout bounds what waits for other nodes. Default 5 s. A request with an
	// acknowledgement has the longer of this and its own time.
	Timeout time.Duration
	// Idempotency keeps the answers of requests with an Idempotency-Key. Default: in
	// memory, for one node.
	Idempotency IdempotencyStore
	// Presence returns who knows the members of a namespace's rooms, nil without. Default:
	// no namespace has presence.
	Presence func(n *socketio.Namespace) *presence.Presence
	// Logger is told of failures that are not the caller's. Default slog.Default().
	Logger *slog.Logger
}

// Handler serves the API below /api/. Safe for concurrent use.
type Handler struct {
	io       *socketio.Server
	keys     []Key
	rates    map[*Key]*rate.Limiter
	timeout  time.Duration
	answers  IdempotencyStore
	presence func(n *socketio.Namespace) *presence.Presence
	log      *slog.Logger
	mux      *http.ServeMux
	registry huma.Registry

	entrySchema *huma.Schema // of EmitRequest
}

// New returns the API of a server.
func New(io *socketio.Server, o *Options) (*Handler, error) {
	if o == nil || len(o.Keys) == 0 {
		return nil, errors.New("api: Keys: at least one is needed")
	}
	h := &Handler{io: io, keys: o.Keys, rates: map[*Key]*rate.Limiter{}, timeout: o.Timeout, answers: o.Idempotency, presence: o.Presence, log: o.Logger, mux: http.NewServeMux()}
	if h.timeout <= 0 {
		h.timeout = 5 * time.Second
	}
	if h.answers == nil {
		h.answers = NewMemoryIdempotency()
	}
	if h.log == nil {
		h.log = slog.Default()
	}
	perSecond := o.RequestsPerSecond
	if perSecond == 0 {
		perSecond = 1000
	}
	for i := range h.keys {
		if perSecond > 0 {
			h.rates[&h.keys[i]] = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		}
	}
	h.register()
	return h, nil
}

func (h *Handler) register() {
	h.registry = huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI:    "3.1.0",
			Info:       &huma.Info{Title: "Posthouse", Version: "1", Description: "Reach the clients of a Socket.IO server: docs/realtime.md §5."},
			Components: &huma.Components{Schemas: h.registry, SecuritySchemes: map[string]*huma.SecurityScheme{"key": {Type: "http", Scheme: "bearer"}}},
			Security:   []map[string][]string{{"key": {}}},
		},
		OpenAPIPath:                  "/api/openapi",
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	}
	api := humago.New(h.mux, config)
	h.registerEmit(api)
	h.registerBatch(api)
	h.registerManage(api)
	h.registerRead(api)
	h.registerRooms(api)
	h.mux.HandleFunc("GET /api/{$}", h.servePage)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "there is no such route")
	})
}

// jsonFormat writes as everything else of the server does: times have milliseconds.
var jsonFormat = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		text, _, err := parser.AppendValue(nil, nil, v) // no answer has a byte slice
		if err != nil {
			return err
		}
		_, err = w.Write(append(text, '\n'))
		return err
	},
	Unmarshal: huma.DefaultJSONFormat.Unmarshal,
}

// operation describes a route; what is POSTed has a body of 1 MiB at most.
func operation(method, path, id, summary string, errs ...int) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, MaxBodyBytes: maxBody, Errors: append(errs, 401, 403, 422, 429)}
}

// mainNamespace stands for "/" in paths.
const mainNamespace = "!"

// callKey is the key of a request's Key in its context.
type callKey struct{}

// ServeHTTP implements http.Handler: the key is judged before anything is read.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isOpen(r) {
		h.mux.ServeHTTP(w, r)
		return
	}
	key := find(h.keys, r.Header.Get("Authorization"))
	if key == nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem(w, http.StatusUnauthorized, "the key is missing or wrong")
		return
	}
	if !key.mayUse(scopeOf(r)) {
		problem(w, http.StatusForbidden, "the key does not have the scope "+string(scopeOf(r)))
		return
	}
	if limit := h.rates[key]; limit != nil && !limit.Allow() {
		w.Header().Set("Retry-After", "1")
		problem(w, http.StatusTooManyRequests, "the key makes too many requests")
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, key))
	// The name of the main namespace is nothing but its slash, which the mux would clean
	// away.
	if id, ok := strings.CutPrefix(r.URL.Path, "/api/sockets//"); ok {
		u := *r.URL
		u.Path, u.RawPath = "/api/sockets/"+mainNamespace+"/"+strings.TrimLeft(id, "/"), ""
		r.URL = &u
	}
	if id := r.Header.Get("Idempotency-Key"); id != "" && r.Method == http.MethodPost {
		h.serveOnce(w, r, key, id)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// isOpen reports whether a request needs no key: the description of the API is no secret.
func isOpen(r *http.Request) bool {
	return r.Method == http.MethodGet && (r.URL.Path == "/api/" || strings.HasPrefix(r.URL.Path, "/api/openapi"))
}

func scopeOf(r *http.Request) Scope {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return ScopeRead
	case r.URL.Path == "/api/emit" || r.URL.Path == "/api/batch":
		return ScopeEmit
	}
	return ScopeManage
}

// problem answers as RFC 9457 says.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(huma.ErrorModel{Title: http.StatusText(status), Status: status, Detail: detail}) // the client may have gone
}

// namespace finds a namespace that the key of the request may reach.
func (h *Handler) namespace(ctx context.Context, name, location string) (*socketio.Namespace, error) {
	key, _ := ctx.Value(callKey{}).(*Key)
	if key != nil && !key.mayReach(name) {
		return nil, huma.Error403Forbidden("the key does not reach this namespace", &huma.ErrorDetail{Location: location, Value: name})
	}
	for _, n := range h.io.Namespaces() {
		if n.Name() == name {
			return n, nil
		}
	}
	return nil, huma.Error404NotFound("there is no such namespace", &huma.ErrorDetail{Location: location, Value: name})
}

// unavailable is the error for what did not reach other nodes.
func (h *Handler) unavailable(err error) error {
	h.log.Warn("api: other nodes could not be reached", "error", err)
	return huma.Error503ServiceUnavailable("not all nodes could be reached")
}

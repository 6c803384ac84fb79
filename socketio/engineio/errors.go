package engineio

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"posthouse/socketio/internal/answer"
)

// The codes of a refused request (docs/protocol.md §1.3).
const (
	CodeUnknownTransport    = 0
	CodeUnknownSID          = 1
	CodeBadHandshakeMethod  = 2
	CodeBadRequest          = 3
	CodeForbidden           = 4
	CodeUnsupportedProtocol = 5
)

var codeMessages = [...]string{
	CodeUnknownTransport:    "Transport unknown",
	CodeUnknownSID:          "Session ID unknown",
	CodeBadHandshakeMethod:  "Bad handshake method",
	CodeBadRequest:          "Bad request",
	CodeForbidden:           "Forbidden",
	CodeUnsupportedProtocol: "Unsupported protocol version",
}

// ConnectionError is a refused request, as Options.OnConnectionError sees it.
type ConnectionError struct {
	Request *http.Request // valid only during the call of the hook
	Code    int
	Message string
	// Context says more, with the keys of the reference: "transport", "sid",
	// "method", "name", "message", "protocol" and their like. Values come from
	// the request: treat them as hostile.
	Context map[string]any

	isForeignOrigin bool // the origin is not allowed: 403 even for a WebSocket
	isDraining      bool // the server takes no new sessions: 503
}

func (e *ConnectionError) Error() string { return "engineio: request refused: " + e.Message }

func refusal(code int, context map[string]any) *ConnectionError {
	return &ConnectionError{Code: code, Message: codeMessages[code], Context: context}
}

// badRequest is a refusal with code 3, whose context has a name.
func badRequest(name string, context map[string]any) *ConnectionError {
	if context == nil {
		context = make(map[string]any, 1)
	}
	context["name"] = name
	return refusal(CodeBadRequest, context)
}

// unavailable is the refusal of a server that is about to end.
func unavailable() *ConnectionError {
	e := badRequest("SERVER_CLOSING", nil)
	e.Message, e.isDraining = "Service unavailable", true
	return e
}

// status is the one of the answer; a load balancer shall ask another server at once.
func (e *ConnectionError) status(h http.Header) int {
	switch {
	case e.isDraining:
		h.Set("Retry-After", "1")
		h.Set("Connection", "close")
		return http.StatusServiceUnavailable
	case e.isForeignOrigin:
		return http.StatusForbidden
	}
	return http.StatusBadRequest
}

// refuse reports e to the hook and answers the request.
func (srv *Server) refuse(w http.ResponseWriter, r *http.Request, e *ConnectionError) {
	srv.counters.requestRefused(e.Code)
	if srv.o.OnConnectionError != nil {
		e.Request = r
		srv.o.OnConnectionError(e)
	}
	answer.Begin(w, srv.o.patience())
	if IsUpgrade(r) && slices.Contains(srv.o.Transports, transportWebSocket) {
		refuseUpgrade(w, e)
		return
	}
	h := w.Header()
	status := e.status(h)
	if e.Code == CodeForbidden {
		status = http.StatusForbidden
	}
	body, _ := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{e.Code, e.Message})
	h.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body) // the peer may be gone
}

// status answers a request with a status alone.
func (srv *Server) status(w http.ResponseWriter, code int) {
	answer.Begin(w, srv.o.patience())
	w.WriteHeader(code)
}

// refuseUpgrade answers a WebSocket handshake: 400, also for code 4, with
// the message alone (docs/protocol.md §1.3).
func refuseUpgrade(w http.ResponseWriter, e *ConnectionError) {
	h := w.Header()
	h.Set("Connection", "close")
	h.Set("Content-Type", "text/html")
	h.Set("Content-Length", strconv.Itoa(len(e.Message)))
	w.WriteHeader(e.status(h))
	w.Write([]byte(e.Message)) // the peer may be gone
}

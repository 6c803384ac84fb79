package socketio

import (
	"encoding/json"
	"strings"
)

// defaultPrivateHandshake are the fields of a handshake that carry secrets by
// convention.
var defaultPrivateHandshake = []string{"auth.token", "auth.pid", "headers.authorization"}

// publicHandshake is the handshake of s as FetchSockets tells it, on this node and on
// others: without the fields of Options.PrivateHandshake.
func (s *Socket) publicHandshake() *Handshake {
	h := s.Handshake()
	for _, field := range s.ns.server.options.PrivateHandshake {
		group, name, _ := strings.Cut(field, ".")
		switch group {
		case "auth":
			h.Auth = withoutField(h.Auth, name)
		case "headers":
			delete(h.Headers, strings.ToLower(name))
		case "query":
			if _, found := h.Query[name]; found {
				delete(h.Query, name)
				h.URL, _, _ = strings.Cut(h.URL, "?") // the URL repeats the query
			}
		}
	}
	return h
}

// withoutField returns an object without one of its fields; an object without the
// field, and anything else, as it is.
func withoutField(object json.RawMessage, name string) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return object
	}
	if _, found := fields[name]; !found {
		return object
	}
	delete(fields, name)
	rest, err := json.Marshal(fields)
	if err != nil {
		return emptyObject
	}
	return rest
}

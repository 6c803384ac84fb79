package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"posthouse/socketio"
	"posthouse/socketio/internal/jsonbinary"
)

// emitRequest is an emit in an answer: what POST /api/emit takes (docs/realtime.md §5),
// but for acknowledgements, which have no place to go to.
type emitRequest struct {
	Namespace string            `json:"namespace"` // default: that of the socket
	To        []string          `json:"to"`
	Except    []string          `json:"except"`
	Event     string            `json:"event"`
	Args      []json.RawMessage `json:"args"`
	Volatile  bool              `json:"volatile"`
	Compress  *bool             `json:"compress"`
	Local     bool              `json:"local"`
	History   *bool             `json:"history"` // default: kept where the rooms have a history
}

var errNoNamespace = errors.New("there is no such namespace")

// emit does an emit of an answer to an event of s. Unknown fields are refused, as the
// API does.
func emit(s *socketio.Socket, text json.RawMessage) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var r emitRequest
	if err := d.Decode(&r); err != nil {
		return err
	}
	if r.Event == "" {
		return errors.New("event is missing")
	}
	n := s.Namespace()
	if r.Namespace != "" && r.Namespace != n.Name() {
		all := n.Server().Namespaces()
		i := slices.IndexFunc(all, func(n *socketio.Namespace) bool { return n.Name() == r.Namespace })
		if i < 0 {
			return fmt.Errorf("%w: %q", errNoNamespace, r.Namespace)
		}
		n = all[i]
	}
	args, err := jsonbinary.DecodeList(r.Args)
	if err != nil {
		return fmt.Errorf("args%w", err)
	}
	op := n.To(r.To...).Except(r.Except...)
	if r.Volatile {
		op = op.Volatile()
	}
	if r.Compress != nil {
		op = op.Compress(*r.Compress)
	}
	if r.Local {
		op = op.Local()
	}
	if r.History == nil || *r.History {
		op = op.Record()
	}
	return op.Emit(r.Event, args...)
}

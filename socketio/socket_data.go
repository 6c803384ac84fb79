package socketio

import (
	"encoding/json"
	"fmt"
)

// Key names a value of a given type in the data of sockets. Values travel as
// JSON when another node fetches the socket, and when it is recovered; keys with
// the same name must have the same type.
//
//	var userID = socketio.NewKey[int]("userID")
//
//	userID.Set(s, 7)
//	id, ok := userID.Of(s)
type Key[T any] struct {
	name    string
	private bool
}

// NewKey returns a key. Keys are usually package variables.
func NewKey[T any](name string) Key[T] { return Key[T]{name: name} }

// NewPrivateKey is NewKey for values that stay on this node, as secrets and handles
// must: they are not encoded, no other node sees them, and recovery does not bring
// them back.
func NewPrivateKey[T any](name string) Key[T] { return Key[T]{name: name, private: true} }

// privateValue is a value of a private key.
type privateValue struct{ value any }

// Set stores a value.
func (k Key[T]) Set(s *Socket, value T) {
	var stored any = value
	if k.private {
		stored = privateValue{value}
	}
	s.mu.Lock()
	if s.dataValues == nil {
		s.dataValues = make(map[string]any, 1)
	}
	s.dataValues[k.name] = stored
	s.mu.Unlock()
	if !k.private {
		s.sessionChanged()
		s.tellDataChanged()
	}
}

// Of returns the value of a socket; ok is false when there is none, or when
// what recovery restored does not fit the type.
func (k Key[T]) Of(s *Socket) (value T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch v := s.dataValues[k.name].(type) {
	case T:
		return v, true
	case privateValue:
		value, ok = v.value.(T)
		return value, ok
	case restored:
		if k.private {
			return value, false // the name of a private key, from the session of another program
		}
		if json.Unmarshal(v, &value) != nil {
			return value, false
		}
		s.dataValues[k.name] = value
		return value, true
	}
	return value, false
}

// Delete removes the value of a socket.
func (k Key[T]) Delete(s *Socket) {
	s.mu.Lock()
	_, found := s.dataValues[k.name]
	delete(s.dataValues, k.name)
	s.mu.Unlock()
	if found && !k.private {
		s.sessionChanged()
		s.tellDataChanged()
	}
}

// In decodes the value from the Data of a RemoteSocket.
func (k Key[T]) In(r *RemoteSocket) (value T, ok bool) {
	var all map[string]json.RawMessage
	if json.Unmarshal(r.details.Data, &all) != nil || all[k.name] == nil {
		return value, false
	}
	return value, json.Unmarshal(all[k.name], &value) == nil
}

// restored is a value that recovery brought back and no caller has asked for yet.
type restored json.RawMessage

// MarshalJSON passes the value on as it came.
func (r restored) MarshalJSON() ([]byte, error) { return r, nil }

// dataJSON is the data as an object; what cannot be encoded is left out.
func (s *Socket) dataJSON() json.RawMessage { return s.dataWith(nil) }

// dataWith is dataJSON with further fields.
func (s *Socket) dataWith(details []socketDetail) json.RawMessage {
	s.mu.Lock()
	values := make(map[string]any, len(s.dataValues))
	for k, v := range s.dataValues {
		if _, private := v.(privateValue); !private {
			values[k] = v
		}
	}
	s.mu.Unlock()
	for _, d := range details {
		if v := d.describe(s); v != nil {
			values[d.name] = v
		}
	}
	fields := make(map[string]json.RawMessage, len(values))
	for k, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			s.ns.server.log.Warn("socketio: data of a socket cannot be encoded", "key", k, "error", fmt.Sprint(err))
			continue
		}
		fields[k] = text
	}
	text, _ := json.Marshal(fields)
	return text
}

func (s *Socket) restoreData(data json.RawMessage) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || len(fields) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dataValues = make(map[string]any, len(fields))
	for k, v := range fields {
		s.dataValues[k] = restored(v)
	}
}

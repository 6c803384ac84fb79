package socketio

import (
	"encoding/json"
	"slices"
)

// socketDetail is one field that AddDetail adds to what FetchSockets tells.
type socketDetail struct {
	name     string
	describe func(*Socket) any
}

// AddDetail adds a field to what FetchSockets tells of this server's sockets: fn makes its
// value when a node asks, nil leaves it out. Other nodes find it in RemoteSocket.Detail,
// Node servers in socket.data under the name. RemoteSocket.Data of a server that adds a
// detail of that name leaves the field out.
func (s *Server) AddDetail(name string, fn func(*Socket) any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := append(slices.Clip(s.details()), socketDetail{name, fn})
	s.socketDetails.Store(&all)
}

func (s *Server) details() []socketDetail {
	if all := s.socketDetails.Load(); all != nil {
		return *all
	}
	return nil
}

// Detail returns the field that AddDetail, or data of a Node server, has under that
// name; nil when there is none.
func (r *RemoteSocket) Detail(name string) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(r.details.Data, &fields) != nil {
		return nil
	}
	return fields[name]
}

// Details describes the socket as FetchSockets tells it on other nodes: without the
// fields of Options.PrivateHandshake, with those of AddDetail in its data.
func (s *Socket) Details() SocketDetails {
	return SocketDetails{ID: s.id, Handshake: s.publicHandshake(), Rooms: s.Rooms(), Data: s.dataWith(s.ns.server.details())}
}

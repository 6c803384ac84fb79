package socketio

import "unsafe"

// PendingAcks returns how many acknowledgements are waited for.
func PendingAcks(s *Socket) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pendingAcks)
}

// Sizes returns the bytes of the objects of an idle client.
func Sizes() (socket, connection, first uintptr) {
	return unsafe.Sizeof(Socket{}), unsafe.Sizeof(conn{}), unsafe.Sizeof(handshakeData{})
}

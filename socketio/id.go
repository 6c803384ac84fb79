package socketio

import (
	"crypto/rand"
	"encoding/base64"
)

// newID returns 120 random bits in 20 characters: the ids of sockets and of
// recoverable sessions.
func newID() string {
	var b [15]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

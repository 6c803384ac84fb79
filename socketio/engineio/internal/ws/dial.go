package ws

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
)

// SetRequestFields puts the fields of an opening handshake into h, without extensions,
// and returns the key that the answer must accept (RFC 6455 §4.1).
func SetRequestFields(h http.Header) (key string) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	key = base64.StdEncoding.EncodeToString(nonce[:])
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", "websocket")
	h.Set("Sec-WebSocket-Version", "13")
	h.Set("Sec-WebSocket-Key", key)
	return key
}

// ErrNotAccepted is wrapped by the errors of CheckResponse.
var ErrNotAccepted = errors.New("ws: the server does not accept the handshake")

// CheckResponse says whether the answer to a handshake with that key opens a WebSocket
// without extension and subprotocol (RFC 6455 §4.1).
func CheckResponse(r *http.Response, key string) error {
	switch {
	case r.StatusCode != http.StatusSwitchingProtocols:
		return fmt.Errorf("%w: status %d", ErrNotAccepted, r.StatusCode)
	case !hasToken(r.Header["Connection"], "upgrade") || !hasToken(r.Header["Upgrade"], "websocket"):
		return fmt.Errorf("%w: not an upgrade to a WebSocket", ErrNotAccepted)
	case r.Header.Get("Sec-WebSocket-Accept") != acceptKey(key):
		return fmt.Errorf("%w: wrong Sec-WebSocket-Accept", ErrNotAccepted)
	case len(r.Header["Sec-Websocket-Extensions"])+len(r.Header["Sec-Websocket-Protocol"]) > 0:
		return fmt.Errorf("%w: an extension or a subprotocol that was not offered", ErrNotAccepted)
	}
	return nil
}

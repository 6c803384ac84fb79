package gateway

import (
	"strings"
	"testing"

	"posthouse/socketio"
	"posthouse/socketio/sockettest"
)

// With a wider bound for other namespaces, a long event in /login still ends its
// connection (docs/reliability.md §4 row 4).
func TestNamespaces_LoginKeepsItsPayloadLimit(t *testing.T) {
	srv := sockettest.NewServer(t, &socketio.Options{})
	login := srv.Of("/login")
	limitPayload(login)
	login.OnEvent("qrcode", func(e *socketio.Event) { _ = e.Ack() })
	c := srv.Connect("/login", nil)
	c.Call("qrcode", strings.Repeat("x", maxLoginPayload-2))
	c.Emit("qrcode", strings.Repeat("x", maxLoginPayload-1))
	c.Disconnected()
	c.Conn.Closed()
	binary := srv.Connect("/login", nil)
	binary.Emit("qrcode", make([]byte, maxLoginPayload))
	binary.Disconnected()
	binary.Conn.Closed()
}

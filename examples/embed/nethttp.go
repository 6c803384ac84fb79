package embed

import (
	"net/http"

	"posthouse/socketio"
)

// NetHTTP mounts io on a ServeMux.
func NetHTTP(io *socketio.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	return mux
}

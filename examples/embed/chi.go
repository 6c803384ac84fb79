package embed

import (
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"posthouse/socketio"
)

// Chi mounts io on a chi router. Keep middleware.Timeout and middleware.Compress
// off this route: a poll may wait for 25 seconds and more, and io compresses by
// itself.
func Chi(io *socketio.Server) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Mount("/socket.io/", io)
	return r
}

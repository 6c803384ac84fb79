package embed

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"posthouse/socketio"
)

// Gin mounts io on a gin engine. Keep middlewares for timeouts and gzip off this
// route: a poll may wait for 25 seconds and more, and io compresses by itself.
func Gin(io *socketio.Server) http.Handler {
	r := gin.New()
	r.Use(gin.Recovery())
	r.Any("/socket.io/*path", gin.WrapH(io))
	return r
}
